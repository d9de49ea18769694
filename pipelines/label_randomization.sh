#!/bin/sh
# Label randomisation (Adebayo et al. 2018): a network memorises the images with shuffled labels.
# Heatmaps that explain the network must differ from those of a network that learned the true labels;
# if they are similar, they show the image and not the network. Two networks with other initial
# weights and the true labels show the similarity without shuffling. The same call continues an
# interrupted one.
#
#     pipelines/label_randomization.sh [CONFIG [OUTPUT]]
#
# CONFIG has the options of training and explaining. DATA names the images and VIEW has the flags that
# open them, e.g. '--size 96'. Shuffled labels need many EPOCHS: history.json of the model shows
# whether they have been learned. To try it in seconds: EPOCHS=1 SEEDS=0 VIEW='--limit 60'.
set -eu
config=${1:-pipelines/digits.toml}
out=${2:-run/label_randomization}
: "${DATA:=digits}" "${VIEW:=}" "${EPOCHS:=200}" "${SEEDS:=0 1 2}"

# shellcheck disable=SC2086 # VIEW holds any number of flags
for seed in $SEEDS; do
    base=$out/seed-$seed
    for arm in true again shuffled; do
        flags="--seed $seed"
        [ "$arm" != again ] || flags="--seed $((seed + 1000))"
        [ "$arm" != shuffled ] || flags="--seed $seed --shuffle-labels"
        ectool train --config "$config" --data "$DATA" $VIEW $flags --epochs "$EPOCHS" \
            --output "$base/$arm/model"
        ectool explain --config "$config" --data "$DATA" $VIEW --model "$base/$arm/model" \
            --split test --output "$base/$arm/cams.zarr"
    done
    for arm in again shuffled; do
        echo "seed $seed, true and $arm:"
        ectool agree "$base/true/cams.zarr" "$base/$arm/cams.zarr"
    done
done
