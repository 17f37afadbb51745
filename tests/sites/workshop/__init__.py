"""A small site that leaves its uploads to task queues; the tests save, and workers in processes of their own replicate."""
