#compdef fromscratch
# Completion for zsh: eval "$(fromscratch --print-completion-script zsh)", or as a file _fromscratch in $fpath.
_fromscratch() {
    local -a found
    found=("${(@f)$(fromscratch --complete -- "${(@)words[1,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    if (( ${#found} )); then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
if [[ ${funcstack[1]} == _fromscratch ]]; then
    _fromscratch "$@"
else
    (( ${+functions[compdef]} )) || { autoload -Uz compinit && compinit }
    compdef _fromscratch fromscratch
fi
