" Syntax of netspec. Written by docs/editors/build.py: change that, not this file.
if exists("b:current_syntax")
  finish
endif

syn keyword netspecPart import net module
syn keyword netspecDeclaration input output let
syn keyword netspecPromise expect prefer
syn keyword netspecControl for if else in
syn keyword netspecOperator and or not
syn keyword netspecConstant true false none same depthwise floor ceil nearest bilinear rgb bgr gray center
syn keyword netspecFunction min max abs round floor ceil sum len params macs size activations
syn keyword netspecOp relu relu6 leaky_relu prelu elu silu gelu hardswish sigmoid hardsigmoid tanh softplus softmax log_softmax concat add sub mul maximum conv conv_transpose linear batchnorm layernorm lrn scale maxpool avgpool global_avgpool global_maxpool adaptive_avgpool identity flatten reshape permute split channel_shuffle pad crop dropout upsample maxunpool
syn match netspecField /\<\h\w*\ze\s*:/
syn match netspecLayer /^\s*\zs\h\w*\ze\s*\(\[[^]]*\]\s*\)*:/
syn match netspecNumber /\<\d[0-9_]*\(\.\d[0-9_]*\)\=\([eE][+-]\=\d\+\)\=\(GiB\|KiB\|MiB\|TiB\|GB\|KB\|MB\|TB\|B\|G\|K\|M\|T\|%\)\=/
syn match netspecShape /\<\d[0-9_]*\(x\(\d[0-9_]*\|?\)\)\+\>/
syn match netspecArrow /->/
syn region netspecString start=/"/ skip=/\\./ end=/"/ oneline
syn match netspecComment /#.*$/ contains=@Spell
syn match netspecDocumentation /##.*$/ contains=@Spell

hi def link netspecPart Structure
hi def link netspecDeclaration Statement
hi def link netspecPromise PreProc
hi def link netspecControl Conditional
hi def link netspecOperator Operator
hi def link netspecConstant Constant
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
