#!/bin/bash
#SBATCH --job-name=scores
#SBATCH --array=0-3
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=scores-%a.log

# One run on four tasks of an array. A task that is requeued, or submitted again alone (sbatch --array=2 slurm.sh),
# goes on where its shard stopped. The number of shards stands here, since an array of one task calls itself one.
#   ID=$(sbatch --parsable slurm.sh)
#   sbatch --dependency=afterok:$ID --wrap 'wrapgen merge -o scores.jsonl || test $? = 10'
SHARDS=4

# Exit code 10: finished, and the items that failed are told; the shard is complete.
wrapgen run spec.yaml tweets.jsonl -o scores.jsonl --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" || test $? = 10
