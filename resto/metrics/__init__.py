"""Metrics for Prometheus.

What is known of a site without asking a host is read from its record whenever somebody asks (`record`). What hosts are asked
for is counted in each process, as soon as ``"resto.metrics"`` is in ``INSTALLED_APPS`` (`actions`). Both are shown by a view of
`resto.urls`, and by ``manage.py resto_drain --metrics`` (`serving`).
"""

from resto.exceptions import ConfigurationError


__all__ = ["exposed", "without_package"]


def exposed(accept: str = "") -> tuple[bytes, str]:
    """Return all metrics of resto as Prometheus wants them, and their content type.

    Args:
        accept: What the request says that it understands.

    Raises:
        ConfigurationError: The package that this needs is not installed.
    """
    try:
        from resto.metrics.exposition import encoded
    except ModuleNotFoundError as error:
        raise without_package(error) from error
    return encoded(accept)


def without_package(error: ModuleNotFoundError) -> Exception:
    """Return what is to be said if a module is missing.

    Args:
        error: Which one.
    """
    if error.name != "prometheus_client":
        return error
    return ConfigurationError(
        "metrics need the module 'prometheus_client'", "Install it: pip install 'prometheus-client>=0.22'"
    )
