" Syntax of netspec. Written by docs/editors/build.py: change that, not this file.
if exists("b:current_syntax")
  finish
endif

syn keyword netspecDeclaration input output let
syn keyword netspecPromise expect prefer
syn keyword netspecControl for if else in
syn keyword netspecOperator and or not
syn keyword netspecConstant true false none
syn match netspecPart /\<\(default\|variant\|detect\|import\|module\|train\|step\|net\)\>\(\s*:\)\@!/
syn match netspecValue /\<\(cross_entropy\|squeezedet\|depthwise\|one_cycle\|adadelta\|balanced\|bilinear\|channels\|constant\|nesterov\|shuffled\|adagrad\|bicubic\|fan_out\|kaiming\|nearest\|plateau\|rmsprop\|sigmoid\|spatial\|uniform\|adamax\|center\|cosine\|fan_in\|height\|normal\|xavier\|adamw\|floor\|nadam\|radam\|width\|adam\|ceil\|gray\|poly\|same\|step\|all\|bce\|bgr\|exp\|inv\|rgb\|sgd\|l1\|l2\)\>\(\s*:\)\@!/
syn match netspecFunction /\<\(activations\|enumerate\|params\|floor\|round\|ceil\|macs\|size\|abs\|len\|max\|min\|sum\|zip\)\>\(\s*:\)\@!/
syn match netspecOp /\<\(adaptive_avgpool\|adaptive_maxpool\|channel_shuffle\|pixel_unshuffle\|conv_transpose\|global_avgpool\|global_maxpool\|pixel_shuffle\|instancenorm\|hardsigmoid\|log_softmax\|hardshrink\|leaky_relu\|logsigmoid\|softshrink\|tanhshrink\|batchnorm\|drop_path\|groupnorm\|hardswish\|layernorm\|maxunpool\|normalize\|parameter\|threshold\|hardtanh\|identity\|roi_pool\|softplus\|softsign\|upsample\|avgpool\|dropout\|flatten\|maximum\|maxpool\|minimum\|permute\|reshape\|sigmoid\|softmax\|argmax\|concat\|linear\|clamp\|power\|prelu\|relu6\|scale\|shift\|slice\|split\|celu\|conv\|crop\|flip\|gelu\|mean\|mish\|relu\|selu\|silu\|tanh\|abs\|add\|div\|elu\|exp\|log\|lrn\|mul\|pad\|sub\|sum\)\>\(\s*:\)\@!/
syn match netspecField /\<\h\w*\ze\s*:/
syn match netspecLayer /^\s*\zs\h\w*\ze\s*\(\[[^]]*\]\s*\)*:/
syn match netspecNumber /\<\d[0-9_]*\(\.\d[0-9_]*\)\=\([eE][+-]\=\d\+\)\=\(GiB\|KiB\|MiB\|TiB\|GB\|KB\|MB\|TB\|B\|G\|K\|M\|T\|%\)\=/
syn match netspecShape /\<\d[0-9_]*\(x\(\d[0-9_]*\|?\)\)\+\>/
syn match netspecArrow /->/
syn region netspecString start=/"/ skip=/\\./ end=/"/ oneline
syn match netspecComment /#.*$/ contains=@Spell
syn match netspecDocumentation /##.*$/ contains=@Spell

hi def link netspecDeclaration Statement
hi def link netspecPromise PreProc
hi def link netspecControl Conditional
hi def link netspecOperator Operator
hi def link netspecConstant Constant
hi def link netspecPart Structure
hi def link netspecValue Constant
hi def link netspecFunction Function
hi def link netspecOp Type
hi def link netspecField Identifier
hi def link netspecLayer Label
hi def link netspecNumber Number
hi def link netspecShape Number
hi def link netspecArrow Operator
hi def link netspecString String
hi def link netspecComment Comment
hi def link netspecDocumentation SpecialComment

let b:current_syntax = "netspec"
