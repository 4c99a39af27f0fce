set -e
python "$(dirname "$0")/mlserver_input.py" requests "$1" "$2.requests"
mlserver infer --url "$MLSERVER" --model-name sentiment --workers 16 --batch-size "$BATCH" \
    --input-data-path "$2.requests" --output-data-path "$2.answers"
python "$(dirname "$0")/mlserver_input.py" scores "$2.answers" "$2"
