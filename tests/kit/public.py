"""What is public: whatever a site, a plugin or a test may import. docs/reference.md shows it; all else may change at any time.

A public class is public with all its methods and attributes that have no underscore.
"""

# Whom it is for -> module -> names.
PUBLIC = {
    "sites": {
        "resto": ["__version__"],
        "resto.storage": [
            "HybridStorage",
            "AsyncStorage",
            "DistributedStorage",
            "ReplicatedStorage",
            "StorageOptions",
            "is_replicated",
        ],
        "resto.admin": ["register"],
        "resto.forms": ["ReplicatedAdminMixin", "ReplicatedFormMixin", "saving"],
        "resto.staticfiles": ["StaticFilesStorage", "ManifestStaticFilesStorage"],
        "resto.exceptions": [
            "RestoError",
            "ConfigurationError",
            "TransportError",
            "HostUnavailableError",
            "UnexpectedStatusCode",
            "RemoteRefusedError",
            "UndecidedError",
            "RemoteDirectoryError",
            "RemoteFileChangedError",
            "RemoteFileNotFoundError",
            "LeaseLostError",
            "JobRefusedError",
            "ReplicationError",
        ],
        "resto.outcomes": ["Outcome"],
        "resto.settings": ["get_setting", "get_credential", "storage_settings"],
        "resto.progress": ["Progress"],
        "resto.repair.drain": ["drain", "Drained"],
        "resto.repair.sync": [
            "synchronize",
            "SyncOptions",
            "SyncReport",
            "HostReport",
            "Difference",
            "Disagreement",
            "Notice",
        ],
        "resto.repair.status": ["host_statuses", "HostStatus"],
        "resto.repair.probe": ["probe_hosts", "HostProbe"],
        "resto.health": ["state", "forget", "Health"],
        "resto.workers.rq": ["DjangoWorker"],
        "resto.urls": ["urlpatterns"],
        "resto.metrics": ["exposed"],
        "resto.metrics.record": ["RecordCollector"],
    },
    "plugins": {
        "resto": ["hookimpl"],
        "resto.transports": ["Transport", "Directory", "Entry", "FilePart", "Trial", "Version"],
        "resto.transports.directory": ["DirectoryTransport"],
        "resto.transports.http": ["HttpTransport", "HttpOptions"],
        "resto.transports.webdav": ["WebDAVTransport"],
        "resto.names": ["clean_name", "is_temporary", "temporary_name"],
        "resto.courses": ["as_method", "Arrival", "Course", "course_of", "finish"],
        "resto.executors": ["Executor", "Job", "RemoteCall", "Lanes", "Task", "process_lanes"],
        "resto.executors.inline": ["InlineExecutor"],
        "resto.executors.thread": ["ThreadExecutor"],
        "resto.executors.queue": ["QueueExecutor", "Message", "MAX_RETRIES", "retry_delay"],
        "resto.executors.rq": ["RqExecutor"],
        "resto.executors.celery": ["CeleryExecutor"],
        "resto.executors.tasks": ["TasksExecutor"],
        "resto.workers": ["perform", "Done"],
        "resto.plugins": ["get_plugin_manager", "PluginManager"],
        "resto.installed": ["installed_plugins", "conflicts", "Installed"],
    },
    "tests": {
        "resto.testing": [
            "TestHttpServer",
            "ThrowawayHosts",
            "ThrowawayHostsMixin",
            "TransportContract",
            "ExecutorContract",
            "QueueExecutorContract",
        ],
    },
}

# What is no class or function, and has no docstring.
CONSTANTS = {
    "resto.courses.Course": "The type of a course: a generator that yields an `Arrival`, or None, and returns the result.",
    "resto.__version__": "The version of resto.",
    "resto.urls.urlpatterns": "What machines ask a site: `live`, `ready`, `status` and `metrics`.",
    "resto.hookimpl": "Marks the implementation of a hook.",
    "resto.executors.queue.MAX_RETRIES": "How often a worker tries again what has failed on a host.",
}

PATHS = {
    f"{module}.{name}": (module, name)
    for modules in PUBLIC.values()
    for module, names in modules.items()
    for name in names
}
MODULES = {module for module, _ in PATHS.values()}
