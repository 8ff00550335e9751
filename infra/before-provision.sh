#!/bin/sh
# azd runs this before it provisions: the app registration, then what is there already.
set -eu
here=$(dirname "$0")
"$here/register-app.sh"
"$here/read-existing.sh"
