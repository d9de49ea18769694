#!/bin/sh
# Submit a stage as an array of COUNT jobs without a process group, and the job that merges their parts.
# Print the id of the latter.
#
#     pipelines/slurm/shards.sh COUNT STAGE OPTIONS... --output OUTPUT
#
# AFTER is the id of a job to wait for, so that stages follow each other:
#
#     job=$(pipelines/slurm/shards.sh 8 perturb --model run/model --data digits --output run/adv.zarr)
#     AFTER=$job pipelines/slurm/shards.sh 8 explain --model run/model --samples run/adv.zarr \
#         --output run/cams.zarr
#
# A job that was killed is submitted again by the same call; finished shards stay.
set -eu
count=$1
shift
output='' last=''
for word in "$@"; do
    [ "$last" != --output ] || output=$word
    last=$word
done
[ -n "$output" ] || { echo "shards.sh: give --output OUTPUT, as two words" >&2; exit 2; }

array=$(sbatch --parsable ${AFTER:+--dependency "afterok:$AFTER"} --array "1-$count" \
    "$(dirname "$0")/shards.sbatch" "$@")
sbatch --parsable --dependency "afterok:${array%%;*}" --wrap "ectool merge '$output'"
