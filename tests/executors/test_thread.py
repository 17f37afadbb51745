import threading

import pytest

from resto.executors import Job
from resto.executors.thread import MAX_THREADS, MAX_THREADS_PER_HOST, ThreadExecutor


def job(host, name, call=lambda: None, finished=None):
    return Job("upload", host, name, call, finished)


@pytest.fixture
def executor():
    return ThreadExecutor()


def test_takes_no_options():
    with pytest.raises(TypeError):
        ThreadExecutor(threads=3)


def test_one_host_needs_no_thread(executor, pool):
    assert executor.run([job("media-1", "a", threading.get_ident)])[0].value == threading.get_ident()
    assert not pool._threads._threads


def test_submitted_jobs_run_in_the_pool(executor):
    names = []
    done = threading.Event()
    executor.submit([job("media-1", "a", lambda: names.append(threading.current_thread().name), lambda _: done.set())])
    assert done.wait(10)
    assert names[0].startswith("resto")


def test_host_that_hangs_occupies_its_share_of_threads(executor, block, wait_until):
    hanging = [block("dead", str(number)) for number in range(3 * MAX_THREADS_PER_HOST)]
    executor.submit([one.job for one in hanging])
    wait_until(lambda: sum(one.started.is_set() for one in hanging) == MAX_THREADS_PER_HOST)
    other = block("media-1", "a")
    other.released.set()
    executor.submit([other.job])
    assert other.finished.wait(10)
    assert sum(one.started.is_set() for one in hanging) == MAX_THREADS_PER_HOST


def test_jobs_of_a_host_that_hung_are_run_later(executor, block):
    hanging = [block("dead", str(number)) for number in range(3 * MAX_THREADS_PER_HOST)]
    executor.submit([one.job for one in hanging])
    for one in hanging:
        one.released.set()
    assert all(one.finished.wait(10) for one in hanging)


def test_number_of_threads_is_bounded(executor, pool, block, wait_until):
    jobs = [block(f"media-{number % 20}", str(number)) for number in range(3 * MAX_THREADS)]
    for one in jobs:
        executor.submit([one.job])
    wait_until(lambda: sum(one.started.is_set() for one in jobs) == MAX_THREADS)
    assert len(pool._threads._threads) == MAX_THREADS
    for one in jobs:
        one.released.set()
    assert all(one.finished.wait(10) for one in jobs)
    assert len(pool._threads._threads) == MAX_THREADS


def test_threads_are_used_again(executor, pool):
    for number in range(50):
        executor.run([job("media-1", str(number)), job("media-2", str(number))])
    assert len(pool._threads._threads) <= MAX_THREADS_PER_HOST


def test_callers_to_a_dead_host_wait_for_one_timeout(executor, call_in_thread):
    """However many there are: each caller runs its own jobs, unless the pool is faster."""
    together = threading.Barrier(4 * MAX_THREADS_PER_HOST)  # passed only if all of them wait at the same time

    def save(number):
        return executor.run([job("media-1", str(number)), job("dead", str(number), lambda: together.wait(60))])

    results = [call_in_thread(save, number) for number in range(4 * MAX_THREADS_PER_HOST)]
    assert [outcome.error for result in results for outcome in result()] == [None] * 8 * MAX_THREADS_PER_HOST


def test_caller_waits_for_its_own_jobs_only(executor, block):
    executor.submit([block("media-1", str(number)).job for number in range(2 * MAX_THREADS_PER_HOST)])
    assert executor.run([job("media-2", "a"), job("media-1", "a", lambda: "done")])[1].value == "done"


def test_job_that_ends_its_thread_does_not_hurt_the_others(executor, block, caplog):
    """The jobs that wait for the same host, and for the same lane, are run."""
    filler = [block("media-1", str(number)) for number in range(MAX_THREADS_PER_HOST)]
    executor.submit([one.job for one in filler])

    def exit_thread():
        raise SystemExit

    others = [block("media-1", "a"), block("media-1", "b")]
    executor.submit([job("media-1", "a", exit_thread) for _ in range(2 * MAX_THREADS_PER_HOST)])
    executor.submit([one.job for one in others])
    for one in filler + others:
        one.released.set()
    assert all(one.finished.wait(10) for one in others)
    assert "The upload of a on media-1 tried to end its thread." in caplog.text


def test_interruption_when_another_thread_has_taken_the_job_is_one(executor, pool, monkeypatch):
    done = threading.Event()

    def submit(serve, host, turn):
        pool._busy[host] += 1  # by a thread that was there before
        other = threading.Thread(target=serve, args=(host, threading.Lock()))
        other.start()
        other.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(pool._threads, "submit", submit)
    with pytest.raises(KeyboardInterrupt):
        executor.submit([job("media-1", "a", done.set)])
    assert done.is_set()
    assert not pool._queues
    assert not pool._busy


def test_submitted_jobs_are_done_at_exit(run_program):
    said = run_program("""
        gate = threading.Event()
        executor.submit([job("media-1", str(n), lambda n=n: gate.wait(10) and say(n)) for n in range(30)])
        gate.set()
    """)
    assert sorted(said, key=int) == [str(number) for number in range(30)]


def test_jobs_in_a_lane_are_done_at_exit_in_order(run_program):
    said = run_program("""
        leaving = threading.Event()
        threading._register_atexit(leaving.set)
        for n in range(100):
            executor.submit([job("media-1", "a", lambda n=n: leaving.wait(10) and say(n))])
    """)
    assert said == [str(number) for number in range(100)]


def test_jobs_submitted_by_jobs_are_done_at_exit(run_program):
    said = run_program("""
        leaving = threading.Event()
        threading._register_atexit(leaving.set)

        def call(n):
            leaving.wait(10)
            if n < 50:
                executor.submit([job(f"media-{n % 2}", "a", lambda: call(n + 1))])
            say(n)

        executor.submit([job("media-1", "a", lambda: call(0))])
    """)
    assert sorted(said, key=int) == [str(number) for number in range(51)]


def test_jobs_submitted_at_exit_are_done(run_program):
    said = run_program("""
        import atexit
        atexit.register(lambda: executor.submit([job("media-1", "a", lambda: say("late"))]))
    """)
    assert said == ["late"]


def test_jobs_are_done_although_one_ends_its_thread_at_exit(run_program):
    said = run_program("""
        leaving = threading.Event()
        threading._register_atexit(leaving.set)
        for n in range(9):
            executor.submit([job("media-1", "a", lambda n=n: leaving.wait(10) and (sys.exit() if n % 2 else say(n)))])
    """)
    assert said == ["0", "2", "4", "6", "8"]


def test_jobs_are_done_when_no_thread_can_be_started(run_program):
    said = run_program("""
        threading.stack_size(1 << 50)
        executor.submit([job("media-1", "a", lambda: say("first"))])
        threading.stack_size(0)
        executor.submit([job("media-1", "a", lambda: say("second"))])
    """)
    assert said == ["first", "second"]


def test_request_to_the_pool_is_served_once(pool):
    """When no thread can be started, the pool may still find a request that the caller has served."""
    turn = threading.Lock()
    turn.acquire()
    pool._serve("media-1", turn)
    assert not pool._busy


def test_fork_while_jobs_run(run_program):
    """The child has the lanes and the threads for itself, and ends by itself; the parent goes on."""
    said = run_program(
        """
        gate, started = threading.Event(), threading.Semaphore(0)

        def hang():
            started.release()
            gate.wait(10)

        executor.submit([job("media-1", str(n), hang) for n in range(20)])
        for _ in range(8):
            started.acquire()
        child = os.fork()
        if not child:
            outcomes = executor.run([job(host, "0", lambda: 42) for host in ("media-1", "media-2")])
            outcomes += InlineExecutor().run([job("media-1", "0", lambda: 42)])
            say(f"child-{[outcome.value for outcome in outcomes] == [42] * 3}")
            executor.submit([job("media-1", "0", lambda: say("child-submitted"))])
            sys.exit()
        say(f"status-{os.waitpid(child, 0)[1]}")
        gate.set()
        executor.submit([job("media-1", str(n), lambda n=n: say("parent")) for n in range(20)])
    """,
        measured=False,
    )
    assert said[:3] == ["child-True", "child-submitted", "status-0"]
    assert said[3:] == ["parent"] * 20


def test_fork_at_any_moment(run_program):
    """Locks that another thread holds at that moment do not count in the child."""
    said = run_program(
        """
        stop = threading.Event()

        def work(n):
            while not stop.is_set():
                executor.run([job("media-1", str(n)+"a", int), job("media-2", "b", int)])

        for n in range(2):
            threading.Thread(target=work, args=[n]).start()
        for _ in range(20):
            child = os.fork()
            if not child:
                executor.run([job("media-1", "a", int), job("media-2", "b", int)])
                os._exit(0)
            say(os.waitpid(child, 0)[1])
        stop.set()
    """,
        measured=False,
    )
    assert said == ["0"] * 20


def test_workers_forked_after_the_pool_was_used(run_program):
    """As gunicorn does with --preload: each worker has a pool of its own, and ends when its jobs are done."""
    said = run_program(
        """
        executor.run([job("media-1", "a", int), job("media-2", "a", int)])
        children = []
        for n in range(3):
            children.append(os.fork())
            if not children[-1]:
                executor.run([job("media-1", "a", int), job("media-2", "a", int)])
                executor.submit([job("media-1", "a", lambda: say(f"worker-{n}"))])
                sys.exit()
        say([os.waitpid(child, 0)[1] for child in children] == [0, 0, 0])
    """,
        measured=False,
    )
    assert sorted(said) == ["True", "worker-0", "worker-1", "worker-2"]


def test_interrupted_submission_gives_the_hosts_share_back(executor, pool, monkeypatch):
    """Nobody would ever serve the request, and eight of them would block the host for ever."""

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(pool._threads, "submit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        executor.submit([job("media-1", "a")])
    assert not pool._busy
