set -e
spec=$(dirname "$0")/$SPEC.yaml
case $SPEC in endpoint_*) sed "s|//HOST|//$HOST|" "$spec" > "$2.spec.yaml"; spec=$2.spec.yaml ;; esac
wrapgen run "$spec" "$1" -o "$2" --json $WORDS
