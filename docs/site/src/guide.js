// A first walk: each step has what it says and the text that it begins with.
export const STEPS = [
  ["A net is a list of lines. Each takes what the line before gives; names stand in front.",
    `net first {
  input data: 3x32x32
  conv1: conv { filters: 16  kernel: 3x3  pad: 1 } -> relu
  pool1: maxpool { kernel: 2 }
  fc: conv { filters: 10  kernel: 1x1 } -> global_avgpool
  prob: softmax
}
`],
  ["Errors show while you type, with a fix where one is known. Put the cursor on the underlined word and choose the fix.",
    `net slip {
  input data: 3x32x32
  conv1: conv { filters: 16  kernal: 3x3  pad: 1 } -> relu
  fc: convolution { filters: 10  kernel: 1x1 }
}
`],
  ["A module is a block with parameters. Fire modules squeeze to few channels, and expand again.",
    `module fire(squeeze, expand) {
  input x
  s: conv(x) { filters: squeeze  kernel: 1x1 } -> relu
  left: conv(s) { filters: expand  kernel: 1x1 } -> relu
  right: conv(s) { filters: expand  kernel: 3x3  pad: 1 } -> relu
  output concat(left, right)
}

net small {
  input data: 3x64x64
  conv1: conv { filters: 32  kernel: 3x3  stride: 2 } -> relu
  fire2: fire { squeeze: 8  expand: 32 }
  fire3: fire { squeeze: 8  expand: 32 }
  fc: conv { filters: 10  kernel: 1x1 } -> global_avgpool
}
`],
  ["Loops, parameters and contracts: what must hold is stated, and checked before anything runs.",
    `net tower(width = 16, depth = 3) {
  input data: 3x64x64
  for i in 1..depth {
    conv[i]: conv { filters: width * i  kernel: 3x3  pad: 1 } -> relu
    maxpool { kernel: 2 }
  }
  fc: conv { filters: 10  kernel: 1x1 } -> global_avgpool
  expect params < 50K
  expect fc: 10
}
`],
];
