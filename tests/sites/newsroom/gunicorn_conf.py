"""How gunicorn runs the newsroom."""

preload_app = True
worker_class = "gthread"
workers = 2
threads = 4
keepalive = 1  # second; a graceful stop would wait for visitors who may ask for more
control_socket_disable = True  # it would be in the home of whoever runs the tests


def post_worker_init(worker):
    worker.log.info("Worker %s is ready", worker.pid)
