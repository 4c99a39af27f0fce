wrapgen run "$WRAPPER" "$1" -o "$2" --json $WORDS
