#!/bin/sh
# rclone, for resto's "webdav" transport.
# Fill in the words between @ signs; docs/set-up-a-media-server.md says what each one stands for.
#
# It cannot let everyone read and a few write: listen on a private address. To ask for a password,
# set RCLONE_USER and RCLONE_PASS, which the list of processes does not show.

# --config:          nothing from the caller's home
# --vfs-cache-mode:  "off" stores an upload before it answers; other modes answer when it is in a cache
# --dir-cache-time:  by default a file that something else changed on disk is not noticed for 5 minutes
exec "@RCLONE@" serve webdav "@ROOT@" \
    --addr "@ADDRESS@:@PORT@" \
    --config /dev/null \
    --vfs-cache-mode off \
    --dir-cache-time 1s
