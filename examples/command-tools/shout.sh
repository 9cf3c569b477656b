#!/bin/sh
# Shell built-ins only: a command may execute nothing but itself unless the policy says more.
read -r arguments
printf 'got %s\n' "$arguments"
