#!/bin/sh
# nginx, and behind it rclone.
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
            proxy_pass http://unix:@RUN@/rclone.sock;
            proxy_set_header Host $http_host;
        }
    }
}
END
umask 0 # for its socket
"@RCLONE@" serve webdav "@ROOT@" --addr "unix://@RUN@/rclone.sock" --config /dev/null --dir-cache-time 1s &
behind=$!
until [ -S "@RUN@/rclone.sock" ]; do sleep 0.02; done
nginx -e stderr -c "@RUN@/nginx.conf" -g "daemon off;" &
trap 'kill $! $behind' TERM
wait $!
kill $behind 2>/dev/null
wait
