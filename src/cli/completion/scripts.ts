/**
 * The scripts that `wgts completion` prints. They contain no command names: they call `wgts
 * __complete` of the installed version, which also knows the current interfaces and peers.
 */
import type { Shell } from '../help/texts/machine.ts';

/** The character `$`, because a template would interpret a literal one before a brace. */
const D = '$';

const BASH = String.raw`# bash completion for wgts and wireguard-ts, made by: wgts completion bash
_wgts() {
    local i blank rest=$COMP_LINE words=() program line current prefix paths=:none
    COMPREPLY=()
    # bash also splits words at = and :, which are put together here
    for ((i = 0; i <= COMP_CWORD; i++)); do
        blank=${D}{rest%%[![:space:]]*}
        rest=${D}{rest:${D}{#blank}}
        if ((i == 0)) || [[ -n $blank ]]; then
            words+=("${D}{COMP_WORDS[i]}")
        else
            words[${D}{#words[@]} - 1]+=${D}{COMP_WORDS[i]}
        fi
        rest=${D}{rest#"${D}{COMP_WORDS[i]}"}
    done
    program=${D}{words[0]/#\~/$HOME}
    [[ $program == */* && $program != */wireguard-ts ]] || program=wgts
    while IFS= read -r line; do
        case $line in
        :file | :folder | :none) paths=$line ;;
        # bash puts a candidate into the line as it is: an interface may be called $(reboot)
        *) printf -v line %q "${D}{line%%$'\t'*}" && COMPREPLY+=("$line") ;;
        esac
    done < <(command "$program" __complete "${D}{words[@]}" 2>/dev/null)
    current=${D}{words[${D}{#words[@]} - 1]}
    # readline replaces only what stands behind the last of these
    prefix=${D}{current%"${D}{current##*[=:]}"}
    [[ $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${D}{COMPREPLY[@]#"$prefix"}")
    case $paths in
    :file) compopt -o default 2>/dev/null ;;
    :folder) compopt -o dirnames 2>/dev/null ;;
    esac
}
complete -F _wgts wgts wireguard-ts
`;

const ZSH = String.raw`#compdef wgts wireguard-ts
# zsh completion for wgts and wireguard-ts, made by: wgts completion zsh
_wgts() {
    local line paths=:none program=${D}{(Q)words[1]} found=1
    local -a candidates
    program=${D}{~program}
    [[ $program == */* && $program != */wireguard-ts ]] || program=wgts
    for line in "${D}{(@f)$(command $program __complete "${D}{(@Q)words[1,CURRENT]}" 2>/dev/null)}"; do
        case $line in
        (:file|:folder|:none) paths=$line ;;
        (*$'\t') candidates+=("${D}{${D}{line%%$'\t'*}//:/\\:}") ;;
        (?*) candidates+=("${D}{${D}{line%%$'\t'*}//:/\\:}:${D}{line#*$'\t'}") ;;
        esac
    done
    (( $#candidates )) && _describe -V wgts candidates && found=0
    [[ $paths != :none ]] && compset -P '--[a-z0-9-]##='
    case $paths in
    (:file) _files && found=0 ;;
    (:folder) _files -/ && found=0 ;;
    esac
    return found
}
if [[ $funcstack[1] == _wgts ]]; then
    _wgts "$@"
else
    compdef _wgts wgts wireguard-ts
fi
`;

const FISH = `# fish completion for wgts and wireguard-ts, made by: wgts completion fish
function __wgts_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l option (string match -r '^--[a-z0-9-]+=' -- $current)
    set -l program wgts
    if string match -q '*/*' -- $words[1]; and not string match -q '*/wireguard-ts' -- $words[1]
        set program (string replace -r '^~' $HOME -- $words[1])
    end
    for line in (command $program __complete $words "$current" 2>/dev/null)
        switch $line
            case ':file'
                for path in (__fish_complete_path (string replace -- "$option" '' "$current"))
                    echo "$option$path"
                end
            case ':folder'
                for path in (__fish_complete_directories (string replace -- "$option" '' "$current"))
                    echo "$option$path"
                end
            case ':none'
            case '*'
                echo $line
        end
    end
end
complete -c wgts -f -a '(__wgts_complete)'
complete -c wireguard-ts -f -a '(__wgts_complete)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
