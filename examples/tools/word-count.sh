#!/bin/sh
# A tool in another language: JSON arguments on stdin, JSON result on stdout.
words=$(sed 's/.*"text":"\([^"]*\)".*/\1/' | wc -w)
echo "{\"words\":$((words))}"
