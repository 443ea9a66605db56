# fish completion for aipc; made by `aipc completion fish`
function __aipc_name_file
    set -l word (commandline -ct | string replace -r -- '^--[a-z]+=' '')
    set -l name (string match -r -- '^[^=]*=' $word); or return
    for file in (__fish_complete_path (string replace -- $name '' $word))
        echo $name$file
    end
end
set -g __aipc_commands new deploy record export exec verify split inspect compare run profile probe rules surgery apply diff doctor runtime targets help completion
complete -c aipc -f
complete -c aipc -n __fish_use_subcommand -l version -s V -d 'show the version'
complete -c aipc -n 'true' -l json -d 'print one JSON document'
complete -c aipc -n 'true' -l quiet -s q -d 'no progress and no warnings on stderr, only errors'
complete -c aipc -n 'true' -l verbose -s v -d 'say more on stderr; twice: say all'
complete -c aipc -n 'true' -l color -r -f -a 'auto always never' -d 'colour the output; auto does on a terminal unless NO_COLOR is set'
complete -c aipc -n 'true' -l help -s h -d 'show the help of the command'
complete -c aipc -f -n __fish_use_subcommand -a new -d 'write a small program around a known model'
complete -c aipc -n '__fish_seen_subcommand_from new' -l output -s o -r -f -a '(__fish_complete_directories)' -d 'the folder it goes to (default: named as the example)'
complete -c aipc -n '__fish_seen_subcommand_from new' -l list -s l -d 'list the examples, as without one'
complete -c aipc -n '__fish_seen_subcommand_from new' -f
complete -c aipc -f -n __fish_use_subcommand -a deploy -d 'turn a model into a verified artifact for one or more targets'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l target -s t -r -f -a '(aipc targets --names 2>/dev/null)' -d 'where it shall run: cpu, or htp:SOC such as htp:sm8650 (default cpu)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l input -s i -r -f -a '(__aipc_name_file)' -d 'a sample for an input: .npy, .pb, .raw, .bin, .jpg or .png (default random, and the report says so)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l recipe -r -f -d 'how a picture becomes the input, such as images=layout=nchw,resize=letterbox'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l shape -r -f -d 'fixes an input\'s shape (images=1,3,320,320) or a symbol (batch=1); several sizes (batch=1/2/4, 1..4, 32..128+32, 16..128*2) make one artifact each and an index of them'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l fix -r -f -d 'an input that will always have this value, such as a sample rate: surgery may build on it'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l gate -r -f -d 'a threshold of your own, such as sqnr_db=40; the report shows it'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l precision -r -f -a 'fp16 fp32' -d 'the arithmetic on the target (default: the target\'s own)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l seed -r -f -d 'seed of random inputs (default 1)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l dlc -d 'also write a DLC file (htp)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l no-surgery -d 'leave a model that is refused or computed wrong as it is'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l allow-cpu -d 'let nodes that cannot be repaired run on the CPU; the report counts and names them'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l tune -d 'rewrite what runs right for speed: kept where the gates hold and the cost falls (htp: the estimate, cpu: the measured time)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l sharpen -d 'also where the gates pass: operators the target is more exact in, kept when the whole gets more exact; slower (htp)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l repair-builds -r -f -d 'most builds of the whole model that repair may take, sharpening and tuning as many each (default 24)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l repair-time -r -f -d 'longest time repair may take, sharpening and tuning as long each (default 600)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l piece-time -r -f -d 'longest search for the rules that repair one piece (default 20)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l task -r -f -d 'how aipc verify shall compare the program, kept in the index (default: as recorded)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l no-trace -d 'skip the comparison of every tensor along the graph'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l intermediates -d 'keep the golden value of every tensor in OUT/golden, not only inputs and outputs'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l fresh -d 'do all work again, use no stored result'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l jobs -r -f -d 'most models of a recording deployed at the same time (default: one for two processors, as memory allows; with a cpu target, which is measured, one)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l timeout -r -f -d 'longest time one vendor call may take (default 600)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l memory -r -f -d 'most memory one vendor process may use (default no limit)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -l output -s o -r -f -a '(__fish_complete_directories)' -d 'the artifact folder (default out)'
complete -c aipc -n '__fish_seen_subcommand_from deploy' -F
complete -c aipc -f -n __fish_use_subcommand -a record -d 'run a program unchanged and record what its models compute'
complete -c aipc -n '__fish_seen_subcommand_from record' -l output -s o -r -f -a '(__fish_complete_directories)' -d 'write the recording here (default: recording); an earlier one is replaced'
complete -c aipc -n '__fish_seen_subcommand_from record' -l module -r -f -d 'record this torch module instead of the outermost ones: a class, a dotted path or Class.method'
complete -c aipc -n '__fish_seen_subcommand_from record' -l samples -r -f -d 'calls to keep of every signature and process (default: 8): the first half and a choice of the rest'
complete -c aipc -n '__fish_seen_subcommand_from record' -l budget -r -f -d 'most bytes of samples a process (default: 536870912)'
complete -c aipc -n '__fish_seen_subcommand_from record' -l task -r -f -d 'how aipc verify and split shall compare this program, kept for them: boxes=0.95, psnr:out.png'
complete -c aipc -n '__fish_seen_subcommand_from record' -F
complete -c aipc -f -n __fish_use_subcommand -a export -d 'make ONNX models of a recording, each checked on the recorded calls'
complete -c aipc -n '__fish_seen_subcommand_from export' -l output -s o -r -f -a '(__fish_complete_directories)' -d 'write the models here (default: RECORDING/export)'
complete -c aipc -n '__fish_seen_subcommand_from export' -l module -r -f -d 'this model only, by name, class or file, also when it was not chosen'
complete -c aipc -n '__fish_seen_subcommand_from export' -l level1 -d 'replace what targets have trouble with even when the export works without'
complete -c aipc -n '__fish_seen_subcommand_from export' -l timeout -r -f -d 'most time for the program and all attempts (default: 1800)'
complete -c aipc -n '__fish_seen_subcommand_from export' -F
complete -c aipc -n '__fish_seen_subcommand_from export' -F
complete -c aipc -f -n __fish_use_subcommand -a exec -d 'run a program unchanged with its models served by artifacts'
complete -c aipc -n '__fish_seen_subcommand_from exec' -l target -s t -r -f -a '(aipc targets --names 2>/dev/null)' -d 'which target of the artifacts (default the first)'
complete -c aipc -n '__fish_seen_subcommand_from exec' -l artifacts -r -f -a '(__fish_complete_directories)' -d 'a folder written by deploy (default $AIPC_ARTIFACTS, else out)'
complete -c aipc -n '__fish_seen_subcommand_from exec' -l strict -d 'fail when a call of a deployed model cannot be served, instead of running the original'
complete -c aipc -n '__fish_seen_subcommand_from exec' -F
complete -c aipc -f -n __fish_use_subcommand -a verify -d 'run a program as it is and served, and compare'
complete -c aipc -n '__fish_seen_subcommand_from verify' -l target -s t -r -f -a '(aipc targets --names 2>/dev/null)' -d 'which target of the artifacts (default the first)'
complete -c aipc -n '__fish_seen_subcommand_from verify' -l artifacts -r -f -a '(__fish_complete_directories)' -d 'a folder written by deploy (default $AIPC_ARTIFACTS, else out)'
complete -c aipc -n '__fish_seen_subcommand_from verify' -l task -r -f -d 'how stdout and files are compared, TASK[=NUMBER][:FILE] (default: as recorded or deployed): text (words equal, numbers near, times left out), numbers, percent, words, exact, boxes, topboxes, psnr, none'
complete -c aipc -n '__fish_seen_subcommand_from verify' -l keep -r -f -a '(__fish_complete_directories)' -d 'keep what both runs printed, recorded and wrote'
complete -c aipc -n '__fish_seen_subcommand_from verify' -l repair -d 'when they differ: deploy again, from the recording and into the same folder, with the operators the target is most exact in, and look again'
complete -c aipc -n '__fish_seen_subcommand_from verify' -F
complete -c aipc -f -n __fish_use_subcommand -a split -d 'write a program as three parts: before its model, the model, behind it'
complete -c aipc -n '__fish_seen_subcommand_from split' -l output -s o -r -f -a '(__fish_complete_directories)' -d 'write the files here (default: split)'
complete -c aipc -n '__fish_seen_subcommand_from split' -l module -r -f -d 'which model of the program (default: the one it spends most time in)'
complete -c aipc -n '__fish_seen_subcommand_from split' -l task -r -f -d 'how the two programs are compared, as for aipc verify (default: as recorded)'
complete -c aipc -n '__fish_seen_subcommand_from split' -l unchecked -d 'do not run the program and its parts to compare them'
complete -c aipc -n '__fish_seen_subcommand_from split' -F
complete -c aipc -f -n __fish_use_subcommand -a inspect -d 'show a model'\''s inputs, outputs, operators and size'
complete -c aipc -n '__fish_seen_subcommand_from inspect' -l shape -r -f -d 'fixes an input\'s shape (images=1,3,320,320) or a symbol (batch=1), so that MACs can be counted'
complete -c aipc -n '__fish_seen_subcommand_from inspect' -l macs -d 'count multiply-accumulates: runs the model once on the CPU to learn every shape (--shape does this too)'
complete -c aipc -n '__fish_seen_subcommand_from inspect' -l graph -d 'print the graph, one node a line'
complete -c aipc -n '__fish_seen_subcommand_from inspect' -F
complete -c aipc -f -n __fish_use_subcommand -a compare -d 'compare two tensors, two folders of tensors, or two models'
complete -c aipc -n '__fish_seen_subcommand_from compare' -F
complete -c aipc -n '__fish_seen_subcommand_from compare' -F
complete -c aipc -f -n __fish_use_subcommand -a run -d 'run a deployed artifact and keep its outputs'
complete -c aipc -n '__fish_seen_subcommand_from run' -l target -s t -r -f -a '(aipc targets --names 2>/dev/null)' -d 'which target of the artifact (default the first)'
complete -c aipc -n '__fish_seen_subcommand_from run' -l input -s i -r -f -a '(__aipc_name_file)' -d 'a value for an input: .npy, .pb, .raw, .bin, .jpg or .png; pictures go through the recipe of the contract (default the golden sample)'
complete -c aipc -n '__fish_seen_subcommand_from run' -l output -s o -r -f -a '(__fish_complete_directories)' -d 'folder for NAME.npy of every output (default outputs)'
complete -c aipc -n '__fish_seen_subcommand_from run' -F
complete -c aipc -f -n __fish_use_subcommand -a profile -d 'show where an artifact spends its time, layer by layer'
complete -c aipc -n '__fish_seen_subcommand_from profile' -l target -s t -r -f -a '(aipc targets --names 2>/dev/null)' -d 'which target of the artifact (default the first)'
complete -c aipc -n '__fish_seen_subcommand_from profile' -l top -s n -r -f -d 'only the N slowest layers, slowest first (default all, in graph order)'
complete -c aipc -n '__fish_seen_subcommand_from profile' -F
complete -c aipc -f -n __fish_use_subcommand -a probe -d 'ask a target which operators it takes, and whether it computes them right'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l all -d 'every operator and variant of the table'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l shape -r -f -d 'fixes a model\'s input shape (images=1,3,320,320) or a symbol (batch=1)'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l repair -d 'look for rules that make right what is refused or wrong'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l seed -r -f -d 'draw other numbers for the table\'s variants (0: those of the table)'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l vary-shapes -d 'give the table\'s variants other shapes, drawn from the seed'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l csv -r -F -d 'also write the answers as CSV'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l html -r -F -d 'also write the support matrix as a page'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l fresh -d 'ask again what is known from before; the answers are not kept'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l timeout -r -f -d 'seconds after which a probe counts as hung (60)'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l threads -r -f -d 'workers at once (one a processor)'
complete -c aipc -n '__fish_seen_subcommand_from probe' -l batch -r -f -d 'most probes in one graph (48)'
complete -c aipc -n '__fish_seen_subcommand_from probe' -f
complete -c aipc -n '__fish_seen_subcommand_from probe' -F
complete -c aipc -f -n __fish_use_subcommand -a rules -d 'list, show or prove the rewrite rules'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l rules -r -F -d 'folder or file with rules of your own (./rules, when there is one)'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l instances -r -f -d 'test: how many random instances each rule must stand (200)'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l seed -r -f -d 'test: of the random instances (1)'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l mutate -d 'test: also take away each line of the preconditions, which must then fail'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l keep -r -f -a '(__fish_complete_directories)' -d 'test: write the counterexamples as models and tensors'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l second -r -f -d 'test: a second oracle; where it disagrees an instance is disputed and does not count'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l target -r -f -a '(aipc targets --names 2>/dev/null)' -d 'why: whom to ask, such as htp:sm8650'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l shape -r -f -d 'why: fixes an input shape (images=1,3,320,320) or a symbol (batch=1)'
complete -c aipc -n '__fish_seen_subcommand_from rules' -l threads -r -f -d 'test: rules at once (one a processor)'
complete -c aipc -n '__fish_seen_subcommand_from rules' -f -a 'list show test why'
complete -c aipc -n '__fish_seen_subcommand_from rules' -F
complete -c aipc -f -n __fish_use_subcommand -a surgery -d 'freeze, fold and clean a model, repair it for a target; record every step'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l target -s t -r -f -a '(aipc targets --names 2>/dev/null)' -d 'also repair what this target refuses or errs in (htp:sm8650)'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l gate -r -f -d 'a threshold of your own for the target\'s outputs, such as sqnr_db=40'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l tune -d 'with --target: also rewrite for speed, kept where the gates hold and the cost falls (htp: the estimate, cpu: the measured time)'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l sharpen -d 'with --target: also where the gates pass: operators the target is more exact in'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l allow-cpu -d 'let nodes that cannot be repaired run on the CPU'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l repair-builds -r -f -d 'most builds of the whole model that repair may take, sharpening and tuning as many each (default 24)'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l repair-time -r -f -d 'longest time repair may take, sharpening and tuning as long each (default 600)'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l piece-time -r -f -d 'longest search for the rules that repair one piece (default 20)'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l output -s o -r -F -d 'write the recorded steps here, for aipc apply'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l save -r -F -d 'write the model after surgery here'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l shape -r -f -d 'size of an input (images=1,3,320,320) or of a symbol (batch=1)'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l fix -r -f -d 'an input that is a switch and will always have this value (sr=16000)'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l input -r -f -a '(__aipc_name_file)' -d 'example data the gates run on (.npy, .pb, .raw, .jpg, .png); random without'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l recipe -r -f -d 'how a picture becomes the tensor of an input'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l skip -r -f -d 'leave a pass out'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -l seed -r -f -d 'of random inputs'
complete -c aipc -n '__fish_seen_subcommand_from surgery' -F
complete -c aipc -f -n __fish_use_subcommand -a apply -d 'run a recorded plan on its model again'
complete -c aipc -n '__fish_seen_subcommand_from apply' -l output -s o -r -F -d 'where the model goes (required without --rebase)'
complete -c aipc -n '__fish_seen_subcommand_from apply' -l rebase -r -F -d 'the model has changed: take the steps anew by name, judge each, write the new plan here'
complete -c aipc -n '__fish_seen_subcommand_from apply' -l input -s i -r -f -a '(__aipc_name_file)' -d 'with --rebase: example data the steps are judged on (.npy, .pb, .raw, .jpg, .png); random without'
complete -c aipc -n '__fish_seen_subcommand_from apply' -l recipe -r -f -d 'how a picture becomes the tensor of an input'
complete -c aipc -n '__fish_seen_subcommand_from apply' -l seed -r -f -d 'of random inputs'
complete -c aipc -n '__fish_seen_subcommand_from apply' -F
complete -c aipc -n '__fish_seen_subcommand_from apply' -F
complete -c aipc -f -n __fish_use_subcommand -a diff -d 'show two graphs side by side'
complete -c aipc -n '__fish_seen_subcommand_from diff' -l context -r -f -d 'equal nodes shown around a difference (default 0)'
complete -c aipc -n '__fish_seen_subcommand_from diff' -l all -d 'show equal nodes, too'
complete -c aipc -n '__fish_seen_subcommand_from diff' -F
complete -c aipc -n '__fish_seen_subcommand_from diff' -F
complete -c aipc -f -n __fish_use_subcommand -a doctor -d 'check what is installed and which targets work here'
complete -c aipc -f -n __fish_use_subcommand -a runtime -d 'list, install or remove vendor runtimes'
complete -c aipc -n '__fish_seen_subcommand_from runtime' -f -a 'list install remove'
complete -c aipc -n '__fish_seen_subcommand_from runtime' -f
complete -c aipc -f -n __fish_use_subcommand -a targets -d 'list targets and the chips they know'
complete -c aipc -n '__fish_seen_subcommand_from targets' -l names -d 'only what --target takes, one a line'
complete -c aipc -f -n __fish_use_subcommand -a help -d 'explain a command or the exit codes'
complete -c aipc -n '__fish_seen_subcommand_from help' -l man -d 'print the manual page (roff), made from the same tables'
complete -c aipc -n '__fish_seen_subcommand_from help' -f -a '$__aipc_commands exit-codes'
complete -c aipc -f -n __fish_use_subcommand -a completion -d 'print a completion script for bash, zsh or fish'
complete -c aipc -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'
