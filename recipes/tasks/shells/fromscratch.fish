# Completion for fish: fromscratch --print-completion-script fish > ~/.config/fish/completions/fromscratch.fish
function __fromscratch_candidates
    set -l words (commandline --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor)
    fromscratch --complete -- $words 2>/dev/null
end
# Where there is none, files are offered.
complete --command fromscratch --condition 'count (__fromscratch_candidates) >/dev/null' --no-files \
    --arguments '(__fromscratch_candidates)'
