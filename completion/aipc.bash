# bash completion for aipc; made by `aipc completion bash`
_aipc_words() { local cur=$1; shift; COMPREPLY=($(compgen -W "$*" -- "$cur")); }
_aipc_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$1"); }
_aipc_folders() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$1"); }
_aipc_nothing() { COMPREPLY=(); }
_aipc_targets() {
    _aipc_words "$1" "$(aipc targets --names 2>/dev/null)"
    # The shell splits words at colons: give back only what follows the last one.
    [[ $COMP_WORDBREAKS == *:* && $1 == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${1%"${1##*:}"}"}")
    return 0
}
_aipc() {
    local cur prev command= i line=${COMP_LINE:0:COMP_POINT} commands="new deploy record export exec verify split inspect compare run profile probe rules surgery apply diff doctor runtime targets help completion"
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    ((${#words[@]} > 1)) || return 0
    cur=${words[-1]} prev=${words[-2]}
    # --option=VALUE completes like --option VALUE, NAME=FILE like FILE.
    [[ $cur == --*=* ]] && prev=${cur%%=*} cur=${cur#*=}
    [[ $cur == *=* ]] && cur=${cur#*=}
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        if [[ ${words[i]} == --color ]]; then ((i++)); continue; fi
        if [[ ${words[i]} != -* ]]; then command=${words[i]}; break; fi
    done
    COMPREPLY=()
    case $command in
    "")
        case $prev in
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --version -V --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_words "$cur" $commands
        ;;
    new)
        case $prev in
        --output|-o) _aipc_folders "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --output -o --list -l --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_nothing "$cur"
        ;;
    deploy)
        case $prev in
        --target|-t) _aipc_targets "$cur"; return ;;
        --input|-i) _aipc_files "$cur"; return ;;
        --recipe) _aipc_nothing "$cur"; return ;;
        --shape) _aipc_nothing "$cur"; return ;;
        --fix) _aipc_nothing "$cur"; return ;;
        --gate) _aipc_nothing "$cur"; return ;;
        --precision) _aipc_words "$cur" fp16 fp32; return ;;
        --seed) _aipc_nothing "$cur"; return ;;
        --repair-builds) _aipc_nothing "$cur"; return ;;
        --repair-time) _aipc_nothing "$cur"; return ;;
        --piece-time) _aipc_nothing "$cur"; return ;;
        --task) _aipc_nothing "$cur"; return ;;
        --jobs) _aipc_nothing "$cur"; return ;;
        --timeout) _aipc_nothing "$cur"; return ;;
        --memory) _aipc_nothing "$cur"; return ;;
        --output|-o) _aipc_folders "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --target -t --input -i --recipe --shape --fix --gate --precision --seed --dlc --no-surgery --allow-cpu --tune --sharpen --repair-builds --repair-time --piece-time --task --no-trace --intermediates --fresh --jobs --timeout --memory --output -o --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    record)
        case $prev in
        --output|-o) _aipc_folders "$cur"; return ;;
        --module) _aipc_nothing "$cur"; return ;;
        --samples) _aipc_nothing "$cur"; return ;;
        --budget) _aipc_nothing "$cur"; return ;;
        --task) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --output -o --module --samples --budget --task --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    export)
        case $prev in
        --output|-o) _aipc_folders "$cur"; return ;;
        --module) _aipc_nothing "$cur"; return ;;
        --timeout) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --output -o --module --level1 --timeout --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_folders "$cur"
        ;;
    exec)
        case $prev in
        --target|-t) _aipc_targets "$cur"; return ;;
        --artifacts) _aipc_folders "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --target -t --artifacts --strict --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    verify)
        case $prev in
        --target|-t) _aipc_targets "$cur"; return ;;
        --artifacts) _aipc_folders "$cur"; return ;;
        --task) _aipc_nothing "$cur"; return ;;
        --keep) _aipc_folders "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --target -t --artifacts --task --keep --repair --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    split)
        case $prev in
        --output|-o) _aipc_folders "$cur"; return ;;
        --module) _aipc_nothing "$cur"; return ;;
        --task) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --output -o --module --task --unchecked --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_folders "$cur"
        ;;
    inspect)
        case $prev in
        --shape) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --shape --macs --graph --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    compare)
        case $prev in
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    run)
        case $prev in
        --target|-t) _aipc_targets "$cur"; return ;;
        --input|-i) _aipc_files "$cur"; return ;;
        --output|-o) _aipc_folders "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --target -t --input -i --output -o --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_folders "$cur"
        ;;
    profile)
        case $prev in
        --target|-t) _aipc_targets "$cur"; return ;;
        --top|-n) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --target -t --top -n --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_folders "$cur"
        ;;
    probe)
        case $prev in
        --shape) _aipc_nothing "$cur"; return ;;
        --seed) _aipc_nothing "$cur"; return ;;
        --csv) _aipc_files "$cur"; return ;;
        --html) _aipc_files "$cur"; return ;;
        --timeout) _aipc_nothing "$cur"; return ;;
        --threads) _aipc_nothing "$cur"; return ;;
        --batch) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --all --shape --repair --seed --vary-shapes --csv --html --fresh --timeout --threads --batch --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_targets "$cur"
        ;;
    rules)
        case $prev in
        --rules) _aipc_files "$cur"; return ;;
        --instances) _aipc_nothing "$cur"; return ;;
        --seed) _aipc_nothing "$cur"; return ;;
        --keep) _aipc_folders "$cur"; return ;;
        --second) _aipc_nothing "$cur"; return ;;
        --target) _aipc_targets "$cur"; return ;;
        --shape) _aipc_nothing "$cur"; return ;;
        --threads) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --rules --instances --seed --mutate --keep --second --target --shape --threads --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_words "$cur" list show test why
        ;;
    surgery)
        case $prev in
        --target|-t) _aipc_targets "$cur"; return ;;
        --gate) _aipc_nothing "$cur"; return ;;
        --repair-builds) _aipc_nothing "$cur"; return ;;
        --repair-time) _aipc_nothing "$cur"; return ;;
        --piece-time) _aipc_nothing "$cur"; return ;;
        --output|-o) _aipc_files "$cur"; return ;;
        --save) _aipc_files "$cur"; return ;;
        --shape) _aipc_nothing "$cur"; return ;;
        --fix) _aipc_nothing "$cur"; return ;;
        --input) _aipc_files "$cur"; return ;;
        --recipe) _aipc_nothing "$cur"; return ;;
        --skip) _aipc_nothing "$cur"; return ;;
        --seed) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --target -t --gate --tune --sharpen --allow-cpu --repair-builds --repair-time --piece-time --output -o --save --shape --fix --input --recipe --skip --seed --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    apply)
        case $prev in
        --output|-o) _aipc_files "$cur"; return ;;
        --rebase) _aipc_files "$cur"; return ;;
        --input|-i) _aipc_files "$cur"; return ;;
        --recipe) _aipc_nothing "$cur"; return ;;
        --seed) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --output -o --rebase --input -i --recipe --seed --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    diff)
        case $prev in
        --context) _aipc_nothing "$cur"; return ;;
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --context --all --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_files "$cur"
        ;;
    doctor)
        case $prev in
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --json --quiet -q --verbose -v --color --help -h
            return
        fi
        ;;
    runtime)
        case $prev in
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_words "$cur" list install remove
        ;;
    targets)
        case $prev in
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --names --json --quiet -q --verbose -v --color --help -h
            return
        fi
        ;;
    help)
        case $prev in
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --man --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_words "$cur" $commands exit-codes
        ;;
    completion)
        case $prev in
        --color) _aipc_words "$cur" auto always never; return ;;
        esac
        if [[ $cur == -* ]]; then
            _aipc_words "$cur" --json --quiet -q --verbose -v --color --help -h
            return
        fi
        _aipc_words "$cur" bash zsh fish
        ;;
    esac
}
complete -F _aipc aipc
