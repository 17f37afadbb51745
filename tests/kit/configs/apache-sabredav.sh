#!/bin/sh
# Apache, and behind it php-fpm with SabreDAV.
PATH=$PATH:/usr/sbin
rm -f "@RUN@/apache2.pid" # of one that was killed, and may be a zombie yet
cat >"@RUN@/apache.conf" <<'END'
ServerRoot @RUN@
DefaultRuntimeDir @RUN@
PidFile @RUN@/apache2.pid
ErrorLog @LOGS@/error.log
ServerName localhost
LoadModule mpm_event_module @MODULES@/mod_mpm_event.so
LoadModule authz_core_module @MODULES@/mod_authz_core.so
LoadModule rewrite_module @MODULES@/mod_rewrite.so
LoadModule proxy_module @MODULES@/mod_proxy.so
LoadModule proxy_fcgi_module @MODULES@/mod_proxy_fcgi.so
User @USER@
Group @GROUP@
Listen @ADDRESS@:@PORT@
DocumentRoot @CONFIGS@
RewriteEngine On
RewriteRule . "@CONFIGS@/sabredav.php" [L]
<Files sabredav.php>
    SetHandler "proxy:unix:@RUN@/php.sock|fcgi://localhost"
</Files>
END
"$(ls /usr/sbin/php-fpm* | head -n 1)" --nodaemonize --fpm-config "@CONFIGS@/php-fpm.conf" &
behind=$!
until [ -S "@RUN@/php.sock" ]; do sleep 0.02; done
apache2 -f "@RUN@/apache.conf" -DFOREGROUND &
trap 'kill $! $behind' TERM
wait $!
kill $behind 2>/dev/null
wait
