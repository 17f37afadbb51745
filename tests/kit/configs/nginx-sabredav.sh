#!/bin/sh
# nginx, and behind it php-fpm with SabreDAV.
PATH=$PATH:/usr/sbin
cat >"@RUN@/nginx.conf" <<'END'
user @USER@ @GROUP@;
pid @RUN@/nginx.pid;
events {}
http {
    access_log off;
    client_max_body_size 0;
    client_body_temp_path @TMP@/body;
    proxy_temp_path @TMP@/proxy;
    fastcgi_temp_path @TMP@/fastcgi;
    uwsgi_temp_path @TMP@/uwsgi;
    scgi_temp_path @TMP@/scgi;
    server {
        listen @ADDRESS@:@PORT@;
        location / {
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME @CONFIGS@/sabredav.php;
            fastcgi_param SCRIPT_NAME /sabredav.php;
            fastcgi_pass unix:@RUN@/php.sock;
        }
    }
}
END
"$(ls /usr/sbin/php-fpm* | head -n 1)" --nodaemonize --fpm-config "@CONFIGS@/php-fpm.conf" &
behind=$!
until [ -S "@RUN@/php.sock" ]; do sleep 0.02; done
nginx -e stderr -c "@RUN@/nginx.conf" -g "daemon off;" &
trap 'kill $! $behind' TERM
wait $!
kill $behind 2>/dev/null
wait
