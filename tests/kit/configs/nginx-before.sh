# nginx before another server. Read by a script that has started that one: its process is the last one in the background.
#
# socket: where it listens
# location: what nginx does with a request
behind=$!
PATH=$PATH:/usr/sbin
cat >"@RUN@/nginx.conf" <<END
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
            $location
        }
    }
}
END
until [ -S "$socket" ]; do sleep 0.02; done
nginx -e stderr -c "@RUN@/nginx.conf" -g "daemon off;" &
trap 'kill $! $behind' TERM
wait $!
kill $behind 2>/dev/null
wait
