# Sourced by the scripts that run the stock OpenAI client: puts the package and the tests into $scratch and goes there.
# Ends with 77 where that cannot be done.
skip() { echo "skipped: $1"; exit 77; }
command -v node > /dev/null || skip "node is not installed"
command -v npm > /dev/null || skip "npm is not installed"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || skip "node $(node --version) is older than 18"

mkdir -p "$scratch"
cp "$here/package.json" "$here/package-lock.json" "$here"/*.mjs "$scratch/"
cd "$scratch"
# Installed once for as long as the lock file stays the same.
if ! cmp --silent package-lock.json installed-lock.json; then
  npm ci --no-audit --no-fund > npm.log 2>&1 || skip "npm cannot install the openai package: $(tail -n 1 npm.log)"
  cp package-lock.json installed-lock.json
fi
