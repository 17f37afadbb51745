<?php
// SabreDAV, as in Nextcloud: the application behind the web server does whatever WebDAV asks for.
require "Sabre/autoload.php";

$server = new Sabre\DAV\Server(new Sabre\DAV\FS\Directory("@ROOT@"));
$server->setBaseUri("/");
$server->exec();
