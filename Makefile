.DEFAULT_GOAL := help
.PHONY: help mongod

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

mongod: ## find or fetch a mongod; its path is the last line of stdout
	@scripts/mongod.sh
