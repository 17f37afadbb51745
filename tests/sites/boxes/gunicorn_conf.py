"""How gunicorn runs the site of a box."""

worker_class = "gthread"
workers = 1
threads = 4
keepalive = 0
control_socket_disable = True  # it would be in the home of whoever runs the tests
