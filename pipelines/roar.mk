# roar.sh as a Makefile: `make -f pipelines/roar.mk`. Every artifact's manifest, written last, is the
# file that rules depend on.
CONFIG ?= pipelines/digits.toml
OUT ?= run/roar
DATA ?= digits
VIEW ?=
EPOCHS ?= 30
SEEDS ?= 0 1 2
SHARES ?= 0.1 0.3 0.5 0.7 0.9

ECTOOL := ectool
ARMS := whole $(foreach h,$(SHARES),$(foreach a,heatmaps random centre,$a-$h))
EVALS := $(foreach s,$(SEEDS),$(foreach a,$(ARMS),$(OUT)/seed-$s/$a/eval))

.PHONY: all
all: $(OUT)/report.html

$(OUT)/report.html: $(EVALS:=/manifest.json)
	$(ECTOOL) report $(sort $(EVALS)) --output $@

# $(call fit,SEED,DATA,FOLDER,IMAGES): train and evaluate.
define fit
$3/model/manifest.json: $4
	$(ECTOOL) train --config $(CONFIG) --data $2 $(VIEW) --seed $1 --epochs $(EPOCHS) \
		--output $$(@D)

$3/eval/manifest.json: $3/model/manifest.json
	$(ECTOOL) evaluate --config $(CONFIG) --data $2 $(VIEW) --model $$(<D) \
		--suite classification --output $$(@D)
endef

# $(call explain,FOLDER,SPLIT)
define explain
$1/cams/$2.zarr/manifest.json: $1/whole/model/manifest.json
	$(ECTOOL) explain --config $(CONFIG) --data $(DATA) $(VIEW) --model $$(<D) \
		--split $2 --output $$(@D)
endef

# $(call remove,FOLDER,SPLIT,SHARE,WHAT,MANIFEST): remove WHAT; MANIFEST is that of WHAT, if any.
define remove
$1/data/$2.zarr/manifest.json: $5
	$(ECTOOL) data materialize $(DATA) $(VIEW) --split $2 --remove $4 \
		--share $3 --output $$(@D)
endef

# $(call cams,FOLDER,ARM,SPLIT): the heatmaps that select the pixels, empty for baselines.
cams = $(if $(filter heatmaps,$2),$1/cams/$3.zarr)

# $(call arm,SEED,FOLDER,ARM,SHARE,OUTPUT): both splits without their most relevant pixels.
define arm
$(foreach p,train test,$(eval $(call remove,$5,$p,$4,$(or $(call cams,$2,$3,$p),$3),$(addsuffix \
	/manifest.json,$(call cams,$2,$3,$p)))))
$(eval $(call fit,$1,zarr:$5/data,$5,$(foreach p,train test,$5/data/$p.zarr/manifest.json)))
endef

# $(call seed,SEED,FOLDER)
define seed
$(eval $(call fit,$1,$(DATA),$2/whole,))
$(foreach p,train test,$(eval $(call explain,$2,$p)))
$(foreach h,$(SHARES),$(foreach a,heatmaps random centre,$(call arm,$1,$2,$a,$h,$2/$a-$h)))
endef

$(foreach s,$(SEEDS),$(call seed,$s,$(OUT)/seed-$s))
