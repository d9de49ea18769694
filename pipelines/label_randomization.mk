# label_randomization.sh as a Makefile: `make -f pipelines/label_randomization.mk`. Every artifact's
# manifest, written last, is the file that rules depend on.
CONFIG ?= pipelines/digits.toml
OUT ?= run/label_randomization
DATA ?= digits
VIEW ?=
EPOCHS ?= 200
SEEDS ?= 0 1 2

ECTOOL := ectool
ARMS := true again shuffled

.PHONY: all $(foreach s,$(SEEDS),seed-$s)
all: $(foreach s,$(SEEDS),seed-$s)

# $(call arm,FLAGS,FOLDER): train with the arm's flags, and explain.
define arm
$2/model/manifest.json:
	$(ECTOOL) train --config $(CONFIG) --data $(DATA) $(VIEW) $1 --epochs $(EPOCHS) \
		--output $$(@D)

$2/cams.zarr/manifest.json: $2/model/manifest.json
	$(ECTOOL) explain --config $(CONFIG) --data $(DATA) $(VIEW) --model $$(<D) \
		--split test --output $$(@D)
endef

# $(call seed,SEED,FOLDER): all arms, and the similarity of their heatmaps to those of true labels.
define seed
$(call arm,--seed $1,$2/true)
$(call arm,--seed $(shell echo $$(($1 + 1000))),$2/again)
$(call arm,--seed $1 --shuffle-labels,$2/shuffled)
seed-$1: $(foreach a,$(ARMS),$2/$a/cams.zarr/manifest.json)
	@echo "seed $1, true and again:"
	$(ECTOOL) agree $2/true/cams.zarr $2/again/cams.zarr
	@echo "seed $1, true and shuffled:"
	$(ECTOOL) agree $2/true/cams.zarr $2/shuffled/cams.zarr
endef

$(foreach s,$(SEEDS),$(eval $(call seed,$s,$(OUT)/seed-$s)))
