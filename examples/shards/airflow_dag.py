"""One run on four mapped tasks: a task that is retried, on this worker or another, goes on where it stopped.

Workers share the folder `WORK`, with the spec and the input in it. Without a shared folder give both commands
`--state s3://bucket/scores` and a location of the input that every worker can read.
"""

import pendulum
from airflow.models.dag import DAG
from airflow.providers.standard.operators.bash import BashOperator  # Airflow 2: airflow.operators.bash

SHARDS = 4
WORK = "/shared/scores"

with DAG(
    dag_id="scores",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 5, "retry_delay": pendulum.duration(minutes=1)},
) as dag:
    # Exit code 10: finished, and the items that failed are told; the shard is complete.
    shards = BashOperator.partial(
        task_id="shard",
        cwd=WORK,
        append_env=True,
        bash_command="wrapgen run spec.yaml tweets.jsonl -o scores.jsonl --shard $SHARD || test $? = 10",
        max_active_tis_per_dagrun=SHARDS,
    ).expand(env=[{"SHARD": f"{index}/{SHARDS}"} for index in range(SHARDS)])
    merge = BashOperator(
        task_id="merge",
        cwd=WORK,
        append_env=True,
        bash_command="wrapgen merge -o scores.jsonl || test $? = 10",
    )
    shards >> merge
