# Completion for bash: eval "$(fromscratch --print-completion-script bash)"
_fromscratch() {
    local line="${COMP_LINE:0:COMP_POINT}" words current
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]} - 1]}"
    mapfile -t COMPREPLY < <(fromscratch --complete -- "${words[@]}" 2>/dev/null)
    # To readline a word begins behind the last = or :, so what is before stays as it was typed.
    COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*[=:]}"}"}")
}
complete -o default -F _fromscratch fromscratch
