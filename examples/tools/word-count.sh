#!/bin/sh
# A tool in another language: JSON arguments on stdin, JSON result on stdout. Shell built-ins only,
# because a sandboxed command may execute nothing but itself unless its policy says more.
read -r arguments
text=${arguments#*\"text\":\"}
set -f
set -- ${text%%\"*}
echo "{\"words\":$#}"
