#!/bin/sh
# PyWebDAV3.
exec "@PROGRAM@" --directory "@ROOT@" --host "@ADDRESS@" --port "@PORT@" --noauth
