#!/bin/sh
# ROAR, remove and retrain (Hooker et al. 2019): is what heatmaps show what the network needs? A
# network is trained; the most relevant share of the pixels of every image, by its heatmaps, gets
# the mean colour; a network is trained anew on what is left. The more accuracy falls, the more the
# heatmaps show; random pixels and the centre of the image are what to compare with. Calling it
# again goes on from what is there.
#
#     pipelines/roar.sh [CONFIG [OUTPUT]]
#
# CONFIG says how to train and explain. DATA names the images and VIEW has the flags that open
# them, e.g. '--size 96'. To try it in seconds: EPOCHS=1 SEEDS=0 SHARES=0.5 VIEW='--limit 60'.
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
