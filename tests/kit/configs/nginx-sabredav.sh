#!/bin/sh
# nginx, and behind it php-fpm with SabreDAV.
socket="@RUN@/php.sock"
location="
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME @CONFIGS@/sabredav.php;
            fastcgi_param SCRIPT_NAME /sabredav.php;
            fastcgi_pass unix:$socket;"
"$(ls /usr/sbin/php-fpm* | head -n 1)" --nodaemonize --fpm-config "@CONFIGS@/php-fpm.conf" &
. "@CONFIGS@/nginx-before.sh"
