"""The contracts of executors, as tests that every executor passes: those that can wait, and those of task queues.

Here the themes of `ExecutorContract` become one class; `QueueExecutorContract`, which is small, is one module. No test is
here, as each theme has a module, and no executor: who subclasses a contract brings it. Look first at `ExecutorContract`,
which says where each theme is.
"""

from resto.testing.executor_contract.concurrency import Concurrency
from resto.testing.executor_contract.failures import Failures
from resto.testing.executor_contract.lanes import LaneOrder
from resto.testing.executor_contract.outcomes import Outcomes
from resto.testing.executor_contract.queues import QueueExecutorContract


__all__ = ["ExecutorContract", "QueueExecutorContract"]


# pytest runs the tests of the last base first.
class ExecutorContract(Concurrency, LaneOrder, Failures, Outcomes):
    """What every `resto.executors.Executor` promises that can wait for its jobs, as tests.

    Subclass it in a test module, under a name that starts with ``Test``, and override one fixture::

        import pytest
        from resto.testing import ExecutorContract


        class TestMyExecutor(ExecutorContract):
            @pytest.fixture
            def executor(self):
                return MyExecutor()

    A test that does not apply is left out by ``test_submit_does_not_wait = None``: an executor that runs jobs in the
    calling thread does so with this one, `test_hosts_do_not_wait_for_each_other` and
    `test_lanes_do_not_hold_up_each_other`. For executors of task queues there is `QueueExecutorContract`.

    Each test is done twice: with jobs that are calls, and with jobs that go over all hosts in one pass (see `resto.courses`), which an executor
    takes part in by `resto.executors.process_lanes`.

    The tests are in a module for each theme:

    - `outcomes`: what jobs bring, in which order, and who is told;
    - `failures`: jobs and callbacks that fail, and callers that are interrupted;
    - `lanes`: jobs with the same host and name, one after another;
    - `concurrency`: what does not wait for what, threads, and forked children.

    Attributes:
        max_examples: How many examples `hypothesis` looks at in each test.
        patience: Seconds after which a test gives up waiting for what must happen.
    """
