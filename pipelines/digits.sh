#!/bin/sh
# The arms `plain` and `consistency` of digits.toml as a chain of commands. The same call continues an
# interrupted one. The arm `adversarial` is one command: ectool train --objective adversarial.
#
#     pipelines/digits.sh [CONFIG [OUTPUT]]
#
# The schedule is that of CONFIG: SEEDS, EPOCHS, WARMUP (epochs before the first round) and EVERY.
set -eu
config=${1:-pipelines/digits.toml}
out=${2:-run/digits}
: "${SEEDS:=0 1 2}" "${EPOCHS:=30}" "${WARMUP:=6}" "${EVERY:=2}"

for seed in $SEEDS; do
    base=$out/seed-$seed
    ectool train --config "$config" --seed "$seed" --until-epoch "$WARMUP" \
        --output "$base/warmup/model"

    # Plain training: all remaining epochs.
    ectool train --config "$config" --resume "$base/warmup/model" --until-epoch "$EPOCHS" \
        --output "$base/plain/model"
    ectool evaluate --config "$config" --model "$base/plain/model" --output "$base/plain/eval"

    # Explanation consistency: a round of perturb, explain, score before every further EVERY epochs.
    model=$base/warmup/model
    round=0
    until=$WARMUP
    while [ "$until" -lt "$EPOCHS" ]; do
        round=$((round + 1))
        until=$((until + EVERY))
        [ "$until" -le "$EPOCHS" ] || until=$EPOCHS
        here=$base/consistency/$round
        last=$base/consistency/$((round - 1))
        init='' previous=''
        if [ "$round" -gt 1 ]; then
            init="--init $last/adv.zarr" previous="--previous $last/weights.zarr"
        fi
        # shellcheck disable=SC2086 # no flag at all in the first round
        ectool perturb --config "$config" --seed "$seed" --model "$model" $init \
            --output "$here/adv.zarr"
        ectool explain --config "$config" --model "$model" --samples "$here/adv.zarr" \
            --output "$here/cams.zarr"
        # shellcheck disable=SC2086
        ectool score --config "$config" --heatmaps "$here/cams.zarr" $previous
        ectool train --config "$config" --resume "$model" --weights "$here/weights.zarr" \
            --samples "$here/adv.zarr" --until-epoch "$until" --output "$here/model"
        model=$here/model
    done
    ectool evaluate --config "$config" --model "$model" --output "$base/consistency/eval"
done
