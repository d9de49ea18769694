#!/bin/sh
# ROAR, remove and retrain (Hooker et al. 2019): do heatmaps mark the pixels that the network needs? A
# network is trained; in every image the most relevant share of the pixels, by its heatmaps, gets the
# mean colour; a new network is trained on these images. The more accuracy falls, the better the
# heatmaps; random pixels and the centre of the image are the baselines. The same call continues an
# interrupted one.
#
#     pipelines/roar.sh [CONFIG [OUTPUT]]
#
# CONFIG has the options of training and explaining. DATA names the images and VIEW has the flags that
# open them, e.g. '--size 96'. To try it in seconds: EPOCHS=1 SEEDS=0 SHARES=0.5 VIEW='--limit 60'.
set -eu
config=${1:-pipelines/digits.toml}
out=${2:-run/roar}
: "${DATA:=digits}" "${VIEW:=}" "${EPOCHS:=30}" "${SEEDS:=0 1 2}" "${SHARES:=0.1 0.3 0.5 0.7 0.9}"

# fit SEED DATA FOLDER: train and evaluate.
# shellcheck disable=SC2086 # VIEW holds any number of flags
fit() {
    ectool train --config "$config" --data "$2" $VIEW --seed "$1" --epochs "$EPOCHS" \
        --output "$3/model"
    ectool evaluate --config "$config" --data "$2" $VIEW --model "$3/model" \
        --suite classification --output "$3/eval"
}

for seed in $SEEDS; do
    base=$out/seed-$seed
    fit "$seed" "$DATA" "$base/whole"
    for split in train test; do
        # shellcheck disable=SC2086
        ectool explain --config "$config" --data "$DATA" $VIEW --model "$base/whole/model" \
            --split "$split" --output "$base/cams/$split.zarr"
    done
    for share in $SHARES; do
        for arm in heatmaps random centre; do
            here=$base/$arm-$share
            for split in train test; do
                what=$arm
                [ "$arm" != heatmaps ] || what=$base/cams/$split.zarr
                # shellcheck disable=SC2086
                ectool data materialize "$DATA" $VIEW --split "$split" --remove "$what" \
                    --share "$share" --output "$here/data/$split.zarr"
            done
            fit "$seed" "zarr:$here/data" "$here"
        done
    done
done
ectool report "$out"/seed-*/*/eval --output "$out/report.html"
