"""The messages that caffe.proto declares, as data: fields with types and defaults, enums.

One line a field: `name: type`, `= default`, and `*` behind the type of a repeated field. Types are
`int`, `float`, `bool`, `string`, `A|B|C` for an enum numbered from 0, the name of a message, or
`any` for what changes neither what a net computes nor how it is trained (engines, logs, sources of
data). `!` behind the type marks what changes it and can't be said in a spec: another value than the
default is a warning. Fields of widespread forks stand beside Caffe's own; where a fork's field
means something, the layer's rule knows it.
"""

from __future__ import annotations

from functools import cache

from netspec.lazy_dataclasses import dataclass

PHASES = "TRAIN|TEST"

_WINDOW = """
    pad: int* = 0; kernel_size: int*; stride: int* = 1; pad_h: int = 0; pad_w: int = 0
    kernel_h: int; kernel_w: int; stride_h: int; stride_w: int; engine: any
"""
_PADS = "pad_t: int = 0; pad_b: int = 0; pad_l: int = 0; pad_r: int = 0"
"""Padding of each side, as a fork has it."""

MESSAGES: dict[str, str] = {
    "NetParameter": """
        name: string; input: string*; input_shape: BlobShape*; input_dim: int*
        force_backward: any; state: NetState; debug_info: any; profile_info: any
        profile_iter: any; profile_warmup: any; layer: LayerParameter*
        layers: V1LayerParameter*; mem_param: any
        opencl_compile_schedule: any; default_forward_type: any; default_backward_type: any
        default_forward_math: any; default_backward_math: any; global_grad_scale: any
        quantize: any!; compile_net_state: any; engine: any; bn_stats_batch_size: any!
    """,
    "NetState": f"phase: {PHASES} = TEST; level: int = 0; stage: string*",
    "NetStateRule": f"""
        phase: {PHASES}; min_level: int; max_level: int; stage: string*; not_stage: string*
    """,
    "BlobShape": "dim: int*",
    "ParamSpec": """
        name: string; share_mode: any; lr_mult: float = 1; decay_mult: float = 1; fix: any!
        lr: any!
    """,
    "LayerParameter": """
        name: string; type: string; bottom: string*; top: string*; phase: any
        loss_weight: float*; param: ParamSpec*; blobs: any*!; propagate_down: bool* = true!
        include: NetStateRule*; exclude: NetStateRule*; blobs_lr: float*; weight_decay: float*
        loss_param: any; accuracy_param: any; engine: any; forward_type: any; backward_type: any
    """,
    "V1LayerParameter": """
        name: string; type: any; bottom: string*; top: string*; loss_weight: float*
        param: string*; blob_share_mode: any*; blobs: any*!; blobs_lr: float*; weight_decay: float*
        include: NetStateRule*; exclude: NetStateRule*; layer: any; loss_param: any
        accuracy_param: any
    """,
    # --- data
    "TransformationParameter": """
        scale: float = 1; mirror: bool; crop_size: int = 0; mean_file: string; mean_value: float*
        force_color: any; force_gray: bool; resize_param: ResizeParameter; crop_h: int; crop_w: int
        noise_param: any!; distort_param: any!; expand_param: any!; emit_constraint: any
        random_resize_param: any!; new_height: int; new_width: int
    """,
    "ResizeParameter": """
        prob: any; resize_mode: WARP|FIT_SMALL_SIZE|FIT_LARGE_SIZE_AND_PAD = WARP!; height: int
        width: int; interp_mode: any*
    """,
    "InputParameter": "shape: BlobShape*",
    "DataParameter": """
        source: any; batch_size: int; rand_skip: any; backend: any; scale: float = 1
        mean_file: string; crop_size: int = 0; mirror: bool; force_encoded_color: any
        prefetch: any; shuffle: any; threads: any; parser_threads: any; cache: any
    """,
    "ImageDataParameter": """
        source: any; batch_size: int; rand_skip: any; shuffle: any; new_height: int = 0
        new_width: int = 0; is_color: bool = true; scale: float = 1; mean_file: string
        crop_size: int = 0; mirror: bool; root_folder: any; label_type: any
    """,
    "MemoryDataParameter": "batch_size: int; channels: int; height: int; width: int",
    "DummyDataParameter": """
        data_filler: any*; shape: BlobShape*; num: int*; channels: int*; height: int*; width: int*
    """,
    "HDF5DataParameter": "source: any; batch_size: int; shuffle: any",
    "WindowDataParameter": """
        source: any; scale: float = 1; mean_file: string; batch_size: int; crop_size: int = 0
        mirror: bool; fg_threshold: any; bg_threshold: any; fg_fraction: any; context_pad: any!
        crop_mode: any!; cache_images: any; root_folder: any
    """,
    "DetectnetGroundtruthParameter": """
        image_size_x: int; image_size_y: int; stride: any; scale_cvg: any; gridbox_type: any
        max_cvg_len: any; min_cvg_len: any; coverage_type: any; obj_norm: any; crop_bboxes: any
        object_class: any*
    """,
    # --- layers
    "ConvolutionParameter": f"""
        {_WINDOW}; {_PADS}
        num_output: int; bias_term: bool = true; dilation: int* = 1; group: int = 1
        weight_filler: FillerParameter; bias_filler: FillerParameter; axis: int = 1
        force_nd_im2col: any; hole: int*; hole_h: int; hole_w: int; bias_type: any!; kernel: any!
        pad_type: int = 0!
    """,
    "PoolingParameter": f"""
        {_PADS}; pool: MAX|AVE|STOCHASTIC|MIN|AVE_EXC_PAD = MAX
        pad: int* = 0; pad_h: int = 0; pad_w: int = 0
        kernel_size: int*; kernel_h: int; kernel_w: int; stride: int* = 1; stride_h: int
        stride_w: int; engine: any; global_pooling: bool = false; round_mode: CEIL|FLOOR = CEIL
        ceil_mode: bool = true; torch_pooling: bool = false
    """,
    "RoiPoolingParameter": """
        pooled_h: int = 0; pooled_w: int = 0; spatial_scale: any; pad_ratio: any
    """,
    "RoiAlignParameter": """
        pooled_h: int = 0; pooled_w: int = 0; spatial_scale: any; pad_ratio: any
        sampling_ratio: any
    """,
    "PsroiPoolingParameter": "spatial_scale: any; output_dim: int = 0; group_size: int = 0",
    "SppParameter": "pyramid_height: int = 0; pool: MAX|AVE|STOCHASTIC = MAX; engine: any",
    "TransposeParameter": "dim: int*",
    "ReverseParameter": "axis: int*",
    "ReorgParameter": "stride: int = 2; reverse: bool = false; flatten: any!",
    "DenseBlockParameter": """
        numTransition: int = 0; growthRate: int = 0; initChannel: int; use_BC: bool = false
        pad_h: int = 1; pad_w: int = 1; filter_H: int = 3; filter_W: int = 3
        conv_verticalStride: int = 1; conv_horizentalStride: int = 1
        Filter_Filler: FillerParameter; BN_Scaler_Filler: FillerParameter
        BN_Bias_Filler: FillerParameter; use_dropout: bool = false; dropout_amount: float = 0
        moving_average_fraction: any!; workspace_mb: any; gpuIdx: any; gpu_idx: any
        BC_ultra_space_efficient: any
    """,
    "InnerProductParameter": """
        num_output: int; bias_term: bool = true; weight_filler: FillerParameter
        bias_filler: FillerParameter; axis: int = 1; transpose: bool = false; engine: any
        normalize: bool = false!
    """,
    "ReLUParameter": "negative_slope: float = 0; engine: any; fuse: any; relu6: bool = false",
    "ReLU6Parameter": "threshold: float = 6; negative_slope: float = 0",
    "PReLUParameter": "filler: FillerParameter; channel_shared: bool = false",
    "ELUParameter": "alpha: float = 1",
    "SwishParameter": "beta: float = 1",
    "ClipParameter": "min: float; max: float",
    "SigmoidParameter": "engine: any",
    "TanHParameter": "engine: any",
    "PowerParameter": "power: float = 1; scale: float = 1; shift: float = 0",
    "ExpParameter": "base: float = -1; scale: float = 1; shift: float = 0",
    "LogParameter": "base: float = -1; scale: float = 1; shift: float = 0",
    "BatchNormParameter": """
        use_global_stats: bool; moving_average_fraction: float = 0.999; eps: float = 1e-5
        engine: any; scale_bias: bool = false; scale_filler: FillerParameter
        bias_filler: FillerParameter; relu: bool = false; debug_info: any; icnet: any!
    """,
    "ScaleParameter": """
        axis: int = 1; num_axes: int = 1; filler: FillerParameter; bias_term: bool = false
        bias_filler: FillerParameter
    """,
    "BiasParameter": "axis: int = 1; num_axes: int = 1; filler: FillerParameter",
    "BNParameter": """
        scale_filler: FillerParameter; shift_filler: FillerParameter
        slope_filler: FillerParameter; bias_filler: FillerParameter
        bn_mode: LEARN|INFERENCE = LEARN; var_eps: float; eps: float; momentum: float
        frozen: bool; engine: any; icnet: any!; moving_average: bool; decay: float
        bn_memory_opt: any
    """,
    "LRNParameter": """
        local_size: int = 5; alpha: float = 1; beta: float = 0.75
        norm_region: ACROSS_CHANNELS|WITHIN_CHANNEL = ACROSS_CHANNELS; k: float = 1; engine: any
    """,
    "DropoutParameter": """
        dropout_ratio: float = 0.5; sample_weights_test: bool = false!; scale_train: bool = true
    """,
    "ConcatParameter": "axis: int = 1; concat_dim: int = 1",
    "SliceParameter": "axis: int = 1; slice_point: int*; slice_dim: int = 1",
    "EltwiseParameter": """
        operation: PROD|SUM|MAX = SUM; coeff: float*; stable_prod_grad: any; engine: any
    """,
    "FlattenParameter": "axis: int = 1; end_axis: int = -1",
    "ReshapeParameter": "shape: BlobShape; axis: int = 0; num_axes: int = -1",
    "PermuteParameter": "order: int*",
    "SoftmaxParameter": "engine: any; axis: int = 1; hierarchical: any!",
    "ArgMaxParameter": "out_max_val: bool = false; top_k: int = 1; axis: int",
    "CropParameter": "axis: int = 2; offset: int*",
    "InterpParameter": """
        height: int = 0; width: int = 0; zoom_factor: int = 1; shrink_factor: int = 1
        pad_beg: int = 0; pad_end: int = 0
    """,
    "ResizeBilinearParameter": """
        output_height: int; output_width: int; align_corners: bool = false
        data_format: string = NCHW!
    """,
    "ResizeNearestNeighborParameter": """
        output_height: int; output_width: int; align_corners: bool = false
        data_format: string = NCHW!
    """,
    "UpsampleParameter": """
        scale: int = 2; scale_h: int; scale_w: int; pad_out_h: bool = false; pad_out_w: bool = false
        upsample_h: int; upsample_w: int; stride: int
    """,
    "ReductionParameter": """
        operation: NONE|SUM|ASUM|SUMSQ|MEAN = SUM; axis: int = 0; coeff: float = 1
    """,
    "TileParameter": "axis: int = 1; tiles: int",
    "MVNParameter": """
        normalize_variance: bool = true; across_channels: bool = false; eps: float = 1e-9
    """,
    "ThresholdParameter": "threshold: float = 0",
    "ShuffleChannelParameter": "group: int = 1",
    "NormalizeParameter": """
        across_spatial: bool = true; scale_filler: FillerParameter; channel_shared: bool = true
        eps: float = 1e-10; sqrt_a: any!
    """,
    "FillerParameter": """
        type: string = constant; value: float = 0; min: float = 0; max: float = 1; mean: float = 0
        std: float = 1; sparse: int = -1!; variance_norm: FAN_IN|FAN_OUT|AVERAGE = FAN_IN
        diag_val: any!; file: any!
    """,
    # --- solvers
    "SolverParameter": """
        net: string; net_param: NetParameter; train_net: string; test_net: any*
        train_net_param: NetParameter
        test_net_param: any*; train_state: any!; test_state: any*; eval_type: any; ap_version: any
        test_iter: any*; test_interval: any; test_compute_loss: any; test_initialization: any
        base_lr: float; display: any; average_loss: any; max_iter: int; iter_size: int = 1
        lr_policy: string; gamma: float; power: float; momentum: float = 0; weight_decay: float = 0
        regularization_type: string; stepsize: int; stepvalue: int*; clip_gradients: float = -1
        snapshot: any; snapshot_prefix: any; snapshot_diff: any; snapshot_format: any
        solver_mode: any; device_id: any; random_seed: any; type: string; delta: float
        momentum2: float; rms_decay: float; debug_info: any; snapshot_after_train: any
        solver_type: SGD|NESTEROV|ADAGRAD|RMSPROP|ADADELTA|ADAM; layer_wise_reduce: any
        weights: any*
    """,
}

MISSPELT: dict[str, str] = {
    "bn_param": "BNParameter",
    "norm_param": "NormalizeParameter",
    "relu_param": "ReLUParameter",
    "relu6_param": "ReLU6Parameter",
    "prelu_param": "PReLUParameter",
    "elu_param": "ELUParameter",
    "lrn_param": "LRNParameter",
    "mvn_param": "MVNParameter",
    "tanh_param": "TanHParameter",
    "hdf5_data_param": "HDF5DataParameter",
    "transform_param": "TransformationParameter",
    "batch_norm_param": "BatchNormParameter",
    "argmax_param": "ArgMaxParameter",
    "denseblock_param": "DenseBlockParameter",
}
"""Fields `x_param` of a layer whose message is not called XParameter."""

V1_TYPES: dict[str, tuple[int, str]] = {
    "NONE": (0, ""),
    "ACCURACY": (1, "Accuracy"),
    "BNLL": (2, "BNLL"),
    "CONCAT": (3, "Concat"),
    "CONVOLUTION": (4, "Convolution"),
    "DATA": (5, "Data"),
    "DROPOUT": (6, "Dropout"),
    "EUCLIDEAN_LOSS": (7, "EuclideanLoss"),
    "FLATTEN": (8, "Flatten"),
    "HDF5_DATA": (9, "HDF5Data"),
    "HDF5_OUTPUT": (10, "HDF5Output"),
    "IM2COL": (11, "Im2col"),
    "IMAGE_DATA": (12, "ImageData"),
    "INFOGAIN_LOSS": (13, "InfogainLoss"),
    "INNER_PRODUCT": (14, "InnerProduct"),
    "LRN": (15, "LRN"),
    "MULTINOMIAL_LOGISTIC_LOSS": (16, "MultinomialLogisticLoss"),
    "POOLING": (17, "Pooling"),
    "RELU": (18, "ReLU"),
    "SIGMOID": (19, "Sigmoid"),
    "SOFTMAX": (20, "Softmax"),
    "SOFTMAX_LOSS": (21, "SoftmaxWithLoss"),
    "SPLIT": (22, "Split"),
    "TANH": (23, "TanH"),
    "WINDOW_DATA": (24, "WindowData"),
    "ELTWISE": (25, "Eltwise"),
    "POWER": (26, "Power"),
    "SIGMOID_CROSS_ENTROPY_LOSS": (27, "SigmoidCrossEntropyLoss"),
    "HINGE_LOSS": (28, "HingeLoss"),
    "MEMORY_DATA": (29, "MemoryData"),
    "ARGMAX": (30, "ArgMax"),
    "THRESHOLD": (31, "Threshold"),
    "DUMMY_DATA": (32, "DummyData"),
    "SLICE": (33, "Slice"),
    "MVN": (34, "MVN"),
    "ABSVAL": (35, "AbsVal"),
    "SILENCE": (36, "Silence"),
    "CONTRASTIVE_LOSS": (37, "ContrastiveLoss"),
    "EXP": (38, "Exp"),
    "DECONVOLUTION": (39, "Deconvolution"),
}
"""The layer types of the older `layers` by their enum word: its number, and the type today.

Forks that never moved on added words of their own.
"""
FORK_V1_TYPES: dict[str, str] = {
    "PRELU": "PReLU",
    "BN": "BN",
    "UPSAMPLE": "Upsample",
    "RESHAPE": "Reshape",
    "INTERP": "Interp",
    "CROP": "Crop",
    "DENSE_CRF": "DenseCRF",
    "ELU": "ELU",
    "LOG": "Log",
    "SCALE": "Scale",
    "BATCH_NORM": "BatchNorm",
    "SOFTMAX_LOSS_VEC": "SoftmaxLossVec",
}
V1_NUMBERS: dict[int, str] = dict(V1_TYPES.values())


@dataclass(frozen=True)
class FieldType:
    """`kind` is int, float, bool, string, any, enum or the name of a message.

    `lost`: it means something that a spec can't say.
    """

    kind: str
    repeated: bool
    default: str | None
    words: tuple[str, ...] = ()
    lost: bool = False


@cache
def fields_of(message: str) -> dict[str, FieldType]:
    """The declared fields of a message."""
    fields: dict[str, FieldType] = {}
    for line in MESSAGES[message].replace("\n", ";").split(";"):
        name, colon, rest = line.partition(":")
        if not colon:
            continue
        lost = rest.endswith("!")
        kind, _, default = (part.strip() for part in rest.removesuffix("!").partition("="))
        repeated = kind.endswith("*")
        kind = kind.rstrip("*")
        words = tuple(kind.split("|")) if "|" in kind else ()
        fields[name.strip()] = FieldType(
            "enum" if words else kind, repeated, default or None, words, lost
        )
    return fields


def message_of(field: str) -> str | None:
    """The message of a layer's field `convolution_param`: ConvolutionParameter."""
    if field in MISSPELT:
        return MISSPELT[field]
    if not field.endswith("_param"):
        return None
    words = field.removesuffix("_param").split("_")
    name = "".join(w[:1].upper() + w[1:] for w in words) + "Parameter"
    return name if name in MESSAGES else None
