# Varnish before another server.
vcl 4.1;

backend default {
    .host = "@BEHIND_ADDRESS@";
    .port = "@BEHIND_PORT@";
}

acl writers { "@WRITERS@"; }

sub vcl_recv {
    if (client.ip ~ writers) {
        return (pass);
    }
}
