#!/usr/bin/env bash
# Breaks rules of the data plane on purpose, one at a time (test/mutants/*.patch), in a copy of the tree, and runs the
# fault tests of a cluster on it: they must find each. With names, only those. LEAT_FAULT_FOR is how long each is looked
# for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
names=("$@")
if [ ${#names[@]} = 0 ]; then
	for p in test/mutants/*.patch; do
		names+=("$(basename "$p" .patch)")
	done
fi
survived=0
for name in "${names[@]}"; do
	patch=$PWD/test/mutants/$name.patch
	rm -rf "$copy/tree"
	mkdir "$copy/tree"
	git ls-files -z | xargs -0 tar -c | tar -x -C "$copy/tree"
	(
		cd "$copy/tree"
		git apply "$patch"
		go build ./...
	)
	rule=$(sed -n 's/^Rule: //p' "$patch") faults=$(sed -n 's/^Faults: //p' "$patch") log=$copy/$name.log
	if (
		cd "$copy/tree"
		LEAT_FAULT_ONLY=$faults LEAT_FAULT_FOR=${LEAT_FAULT_FOR:-60s} go test -count=1 -timeout=15m -run TestClusterUnderFaults ./test/fault
	) >"$log" 2>&1; then
		echo "SURVIVED rule $rule, $name: the fault tests passed"
		survived=1
		continue
	fi
	# What was found: the first promise that was broken. A test that ended for another reason has shown nothing.
	found=$(awk '/promises were broken:/ { getline; print; exit }
		/read back by|leat fsck counts|run `leat rebuild`|are not linearizable|serves nothing/ { sub(/.*error="/, ""); print; exit }' "$log" | sed 's/^ *//' | cut -c1-200)
	if [ -z "$found" ]; then
		echo "UNCLEAR  rule $rule, $name: the tests failed, and no broken promise is in what they say:"
		grep -E '_test\.go:|panic' "$log" | tail -20 | cut -c1-300
		survived=1
		continue
	fi
	echo "found    rule $rule, $name: $found"
done
exit $survived
