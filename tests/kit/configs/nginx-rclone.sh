#!/bin/sh
# nginx, and behind it rclone.
socket="@RUN@/rclone.sock"
location="proxy_pass http://unix:$socket; proxy_set_header Host \$http_host;"
umask 0 # for its socket
"@RCLONE@" serve webdav "@ROOT@" --addr "unix://$socket" --config /dev/null --dir-cache-time 1s &
. "@CONFIGS@/nginx-before.sh"
