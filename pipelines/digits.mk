# The arms `plain` and `consistency` of digits.toml as a Makefile: `make -f pipelines/digits.mk`. Every
# artifact's manifest, written last, is the file that rules depend on.
CONFIG ?= pipelines/digits.toml
OUT ?= run/digits
SEEDS ?= 0 1 2
EPOCHS ?= 30
WARMUP ?= 6
EVERY ?= 2

ECTOOL := ectool
ROUNDS := $(shell seq $$((($(EPOCHS) - $(WARMUP) + $(EVERY) - 1) / $(EVERY))))
LAST := $(lastword $(ROUNDS))

.PHONY: all models
all: $(foreach s,$(SEEDS),$(foreach a,plain consistency,$(OUT)/seed-$s/$a/eval/manifest.json))
models: $(foreach s,$(SEEDS),$(OUT)/seed-$s/plain/model/manifest.json \
	$(OUT)/seed-$s/consistency/$(LAST)/model/manifest.json)

# $(call seed,SEED,FOLDER): the warm-up, plain training to the end, and both evaluations.
define seed
$2/warmup/model/manifest.json:
	$(ECTOOL) train --config $(CONFIG) --seed $1 --until-epoch $(WARMUP) --output $$(@D)

$2/plain/model/manifest.json: $2/warmup/model/manifest.json
	$(ECTOOL) train --config $(CONFIG) --resume $$(<D) --until-epoch $(EPOCHS) --output $$(@D)

$2/plain/eval/manifest.json: $2/plain/model/manifest.json
	$(ECTOOL) evaluate --config $(CONFIG) --model $$(<D) --output $$(@D)

$2/consistency/eval/manifest.json: $2/consistency/$(LAST)/model/manifest.json
	$(ECTOOL) evaluate --config $(CONFIG) --model $$(<D) --output $$(@D)
endef

# $(call round,SEED,FOLDER,MODEL,LAST,UNTIL): perturb, explain, score, train. LAST is the folder of
# the last round, empty in the first.
define round
$2/adv.zarr/manifest.json: $3/manifest.json $(if $4,$4/adv.zarr/manifest.json)
	$(ECTOOL) perturb --config $(CONFIG) --seed $1 --model $3 $(if $4,--init $4/adv.zarr) \
		--output $$(@D)

$2/cams.zarr/manifest.json: $2/adv.zarr/manifest.json
	$(ECTOOL) explain --config $(CONFIG) --model $3 --samples $$(<D) --output $$(@D)

$2/weights.zarr/manifest.json: $2/cams.zarr/manifest.json
	$(ECTOOL) score --config $(CONFIG) --heatmaps $$(<D) $(if $4,--previous $4/weights.zarr)

$2/model/manifest.json: $2/weights.zarr/manifest.json
	$(ECTOOL) train --config $(CONFIG) --resume $3 --weights $$(<D) --samples $2/adv.zarr \
		--until-epoch $5 --output $$(@D)
endef

# $(call until,ROUND): the last epoch of a round.
until = $(shell u=$$(($(WARMUP) + $1 * $(EVERY))); echo $$((u < $(EPOCHS) ? u : $(EPOCHS))))
before = $(filter-out 0,$(shell echo $$(($1 - 1))))
# $(call rounds,SEED,FOLDER): all rounds, each from the model of the previous one.
rounds = $(foreach r,$(ROUNDS),$(eval $(call round,$1,$2/consistency/$r,$(if \
	$(call before,$r),$2/consistency/$(call before,$r),$2/warmup)/model,$(if \
	$(call before,$r),$2/consistency/$(call before,$r)),$(call until,$r))))

$(foreach s,$(SEEDS),$(eval $(call seed,$s,$(OUT)/seed-$s))$(call rounds,$s,$(OUT)/seed-$s))
