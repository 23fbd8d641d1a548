"""Every private name of Keras, backends, TensorBoard and wandb that fitwatch uses.

Undocumented names may change with any version. `tests/test_manifest.py` checks that each of these
exists, and `tests/check_private_names.py` finds uses of others. This module imports neither Keras
nor a backend, so that the check is quick.
"""

from typing import Literal, NamedTuple

Kind = Literal[
    "attribute",  # an object has it, and fitwatch reads it
    "keyword",  # a function takes it among other keyword arguments, and fitwatch passes it
    "local",  # a function has such a local variable, which fitwatch reads
    "method",  # fitwatch calls it
    "name",  # a module has it: a function, class or constant that fitwatch uses
    "overridden",  # Keras calls it, and fitwatch overrides it in a subclass or on an instance
    "setting",  # fitwatch sets it on an object, and Keras reads it
]


class Private(NamedTuple):
    """A private name."""

    owner: str
    """A module, or something in it: `module:Class`, `module:Class.method`."""
    name: str
    kind: Kind
    without: str
    """What a user of fitwatch loses without it."""
    backends: tuple[str, ...]
    """The backends where it is used; empty for all."""
    since: str | None
    """The first version of Keras that has it; None if all supported versions have it."""
    keywords: tuple[str, ...]
    """The arguments that fitwatch passes by keyword."""

    @property
    def module(self) -> str:
        """The module of the owner."""
        return self.owner.partition(":")[0]

    @property
    def inside(self) -> str:
        """The class or method in that module that has it; empty for the module itself."""
        return self.owner.partition(":")[2]

    @property
    def is_confined(self) -> bool:
        """Whether only `fitwatch/_keras/` may use it, and classes that inherit it."""
        private_owner = self.owner.startswith(("keras.src.", "jax._src."))
        return self.name.startswith("_") or (self.kind == "method" and private_owner)


def _of(
    owner: str,
    *groups: tuple[Kind, str, str],
    backends: tuple[str, ...] = (),
    since: str | None = None,
    keywords: tuple[str, ...] = (),
) -> list[Private]:
    """Names of one owner, grouped by what is lost without them."""
    return [
        Private(owner, name, kind, without, backends, since, keywords)
        for kind, names, without in groups
        for name in names.split()
    ]


_BATCHES_SEEN = "_batches_seen_since_last_saving _last_batch_seen"
_BATCH_ENDS = "_on_batch_end _on_train_batch_end _on_test_batch_end _on_predict_batch_end"

_CALLBACKS = [
    *_of(
        "keras.callbacks:Callback",
        ("attribute", "_model", "on JAX each look at the model copies all variables back to it"),
    ),
    *_of(
        "keras.callbacks:Callback.on_epoch_end",
        ("attribute", "_is_default", "hooks that no callback overrides are called in every batch"),
    ),
    *_of(
        "keras.callbacks:CallbackList",
        ("overridden", "_configure_async_dispatch", "hooks run on a pool of threads, unordered"),
        ("overridden", "_add_default_callbacks", "fit() has Keras's own History and progress bar"),
        ("overridden", _BATCH_ENDS, "a tool that replaces a hook of Keras's list runs all twice"),
        ("method", "_flush_futures", "a backup before preemption misses hooks in a stock list"),
        ("attribute", "_history _progbar", "fit() adds a second History and progress bar"),
        ("setting", "_in_begin_end_block_count", "a list that has failed cannot be used again"),
        ("setting", "async_safe", "in a stock list every batch waits for the device"),
    ),
    *_of(
        "keras.callbacks:CallbackList.set_model",
        ("local", "self", "callbacks do not know the others in their list"),
    ),
    *_of(
        "keras.callbacks:EarlyStopping",
        ("overridden", "_is_improvement", "Keras's code decides, in which NaN can be the best"),
        ("overridden", "_set_monitor_op", "lists of metrics cannot be monitored"),
    ),
    *_of(
        "keras.callbacks:ReduceLROnPlateau",
        ("overridden", "_is_improvement", "Keras's code decides, in which NaN can be the best"),
        ("overridden", "_reset", "a resumed run forgets the plateau that it is on"),
        ("method", "_set_monitor_op", "mode='auto' does not know what counts as better"),
    ),
    *_of(
        "keras.callbacks:ReduceLROnPlateau",
        ("overridden", "_reduce_optimizer_lr", "learning rates are reduced unannounced"),
        since="3.15",
    ),
    *_of(
        "keras.callbacks:LearningRateScheduler",
        ("overridden", "_update_optimizer_lr", "schedules by batch set no learning rates"),
        since="3.15",
    ),
    *_of(
        "keras.callbacks:ModelCheckpoint",
        ("overridden", "_is_improvement", "Keras's code decides, in which NaN can be the best"),
        ("overridden", "_set_monitor_op", "thresholds are not checked against the mode"),
        ("overridden", "_should_save_on_batch", "saves by seconds never come"),
        ("overridden", "_should_save_model", "models with NaN in their weights are saved"),
        ("overridden", "_save_model", "saves are not atomic, and not in the background"),
        ("overridden", "_get_file_path", "unknown fields of filepath are not an error"),
        ("method", "_checkpoint_exists", "files of an earlier run are overwritten unjudged"),
        ("attribute", f"_current_epoch {_BATCHES_SEEN}", "nothing is saved inside an epoch"),
    ),
    *_of(
        "keras.callbacks:OrbaxCheckpoint",
        ("attribute", f"{_BATCHES_SEEN} _total_batches_seen", "resumed runs save at other steps"),
        since="3.14",
    ),
    *_of(
        "keras.callbacks:BackupAndRestore",
        ("overridden", "_load_model _save_model", "backups have neither callbacks nor metrics"),
        ("overridden", "_should_save_on_batch", "save_freq=N counts in Python, in every batch"),
        ("attribute", "_current_epoch _last_batch_seen", "resumed runs begin at another epoch"),
        ("attribute", "_weights_path _prev_weights_path", "Keras's backups are not found"),
        ("attribute", "_training_metadata_path", "Keras's backups are not found"),
        ("attribute", "_prev_training_metadata_path", "Keras's backups are not found"),
    ),
    *_of(
        "keras.callbacks:SwapEMAWeights",
        ("attribute", "_ema_weights_in_model", "backups have averages for trained weights"),
        ("method", "_swap_variables", "backups have averages for trained weights"),
    ),
    *_of(
        "keras.callbacks:ProgbarLogger",
        ("overridden", "_maybe_init_progbar", "the bar is Keras's, which waits for every batch"),
        ("overridden", "_finalize_progbar", "the last line lacks metrics"),
        ("method", "_update_progbar", "a subclass that draws the bar otherwise is passed over"),
        ("attribute", "_called_in_fit", "the validation inside fit() draws a separate bar"),
    ),
    *_of("keras.utils:Progbar", ("setting", "_seen_so_far", "add() of a bar counts from 0")),
]

_TENSORBOARD = [
    *_of(
        "keras.callbacks:TensorBoard",
        ("overridden", "_train_writer _val_writer", "TensorFlow is needed to write anything"),
        ("overridden", "_push_writer _pop_writer", "each batch enters two TensorFlow contexts"),
        ("overridden", "_log_epoch_metrics", "TensorFlow is needed for epochs' metrics"),
        ("overridden", "_write_keras_model_summary", "the graph needs TensorFlow"),
        ("overridden", "_log_weights", "histograms and images need TensorFlow"),
        ("overridden", "_configure_embeddings _log_embeddings", "the projector shows nothing"),
        ("overridden", "_start_trace _stop_trace", "profiles need TensorFlow"),
        ("method", "_start_profiler _stop_profiler", "there are no profiles"),
        ("method", "_collect_learning_rate", "learning rates are not written"),
        ("method", "_compute_steps_per_second", "steps per second are not written"),
        ("attribute", "_batch_trace_context _is_tracing", "profiles do not end"),
        ("attribute", "_should_trace _stop_batch", "profiles do not end"),
        ("attribute", "_global_train_batch _global_test_batch", "all batches have the step 0"),
        ("attribute", "_summary_module", "callbacks with TensorFlow loaded cannot be copied"),
        ("attribute", "_train_dir", "embeddings and profiles have no folder"),
        ("setting", "_batch_start_time", "steps per second of batches are wrong"),
        ("setting", "_should_write_train_graph", "the first batch fails on TensorFlow"),
    ),
    *_of(
        "keras.src.backend",
        ("name", "tensorboard", "profiles of a batch do not end"),
        backends=("jax", "tensorflow"),
    ),
    *_of(
        "keras.src.backend:tensorboard",
        ("name", "stop_batch_trace", "profiles of a batch do not end"),
        backends=("jax", "tensorflow"),
    ),
    *_of(
        "keras.src.utils.module_utils",
        ("name", "tensorflow", "write_graph=True imports TensorFlow"),
        ("name", "gfile", "it is not known whether remote paths can be opened"),
    ),
    *_of(
        "keras.src.utils.module_utils:tensorflow",
        ("setting", "_available", "write_graph=True imports TensorFlow"),
    ),
    *_of(
        "tensorboard.compat.proto",
        ("name", "event_pb2 graph_pb2 summary_pb2 types_pb2", "graphs and images are not written"),
    ),
    *_of(
        "tensorboard.plugins.histogram.summary_v2",
        ("name", "histogram_pb", "histograms are not written"),
    ),
    *_of(
        "tensorboard.plugins.image.metadata",
        ("name", "create_summary_metadata", "images are not written"),
    ),
    *_of(
        "tensorboard.plugins.projector.projector_config_pb2",
        ("name", "ProjectorConfig", "embeddings are not written"),
    ),
    *_of(
        "tensorflow.python.ops.gen_summary_ops",
        ("name", "create_summary_file_writer import_event", "Weights & Biases sees no values"),
        ("name", "write_summary write_raw_proto_summary", "ClearML sees no values"),
        ("name", "write_scalar_summary write_histogram_summary", "ClearML sees no values"),
        ("name", "write_image_summary", "ClearML sees no values"),
    ),
    *_of(
        "tensorflow.python.ops.summary_ops_v2",
        ("name", "create_file_writer_v2 write write_raw_pb", "Comet and Neptune see no values"),
    ),
    *_of(
        "tensorflow.python.ops.summary_ops_v2:_ResourceSummaryWriter",
        ("attribute", "_resource", "tf.summary calls in a user's callback fail"),
    ),
    *_of(
        "tensorflow.python.summary.tb_summary",
        ("name", "scalar histogram image", "tools that replace it see no values"),
    ),
    *_of(
        "tensorflow._api.v2.summary",
        ("name", "create_file_writer scalar histogram image write", "tools see no values"),
    ),
]

_TRAINERS = [
    *_of(
        "keras:Model",
        ("attribute", "_compile_loss _compile_metrics", "metrics do not resume inside an epoch"),
        ("attribute", "_eval_epoch_iterator", "the bar of a validation does not know its length"),
        ("setting", "_eval_epoch_iterator", "each validation makes its data pipeline again"),
        ("attribute", "_loss_tracker train_function", "there are no per-batch losses"),
        ("setting", "_initial_epoch", "resumed runs begin with the first epoch"),
        ("overridden", "train_step", "there are no per-batch losses"),
    ),
    *_of(
        "keras:Model",
        ("method", "make_train_function", "there are no per-batch losses"),
        keywords=("force",),
    ),
    *_of(
        "keras:Model",
        ("method", "_symbolic_build", "runs of models without Input do not resume, nor metrics"),
        backends=("tensorflow",),
        keywords=("data_batch",),
    ),
    *_of(
        "keras:Model",
        ("overridden", "_autoconvert_optionals", "there are no per-batch losses"),
        ("attribute", "distribute_strategy", "several workers all write the same files"),
        backends=("tensorflow",),
    ),
    *_of(
        "keras:Model",
        ("overridden", "_make_function", "there are no per-batch losses"),
        ("attribute", "_jax_state_synced", "a schedule by batch copies all variables each time"),
        ("attribute", "_jax_state", "a snapshot for a rollback slows the next step down"),
        ("setting", "_jax_state _jax_state_synced", "there is no validation inside an epoch"),
        ("overridden", "_setattr_hook", "a batch costs some microseconds for each variable"),
        ("method", "jax_state_sync", "a model has old weights after an exception"),
        backends=("jax",),
    ),
    *_of(
        "keras:Model.fit",
        ("local", "self callbacks epoch_iterator", "there are no per-batch losses"),
        ("local", "end_step epoch_logs logs", "runs that a signal has ended do not resume exactly"),
        ("local", "validation_data", "saves that wait for a validation come with the wrong name"),
        ("local", "val_x val_y val_sample_weight", "there is no validation inside an epoch"),
        ("local", "batch_size validation_batch_size", "there is no validation inside an epoch"),
        ("local", "validation_steps validation_freq", "there is no validation inside an epoch"),
    ),
    *_of(
        "keras:Model",
        ("method", "_should_eval", "a validation inside an epoch is repeated at its end"),
    ),
    *_of(
        "keras.src.backend.common.global_state",
        ("name", "get_global_attribute", "validations draw random numbers of the training"),
    ),
    *_of(
        "keras:Model.evaluate",
        ("keyword", "_use_cached_eval_dataset", "each validation makes its data pipeline again"),
    ),
    *(
        entry
        for backend, name in (
            ("jax", "JAXEpochIterator"),
            ("tensorflow", "TFEpochIterator"),
            ("torch", "TorchEpochIterator"),
        )
        for entry in _of(
            f"keras.src.backend.{backend}.trainer",
            ("name", name, "there is no validation inside an epoch"),
            backends=(backend,),
        )
    ),
    *_of(
        "keras.src.trainers.compile_utils:CompileLoss",
        ("attribute", "built", "metrics do not resume inside an epoch"),
    ),
    *_of(
        "keras.src.trainers.compile_utils:CompileMetrics",
        ("attribute", "built", "metrics do not resume inside an epoch"),
    ),
    *_of(
        "keras.distribution:DeviceMesh",
        ("attribute", "backend_mesh", "processes decide each for itself"),
        backends=("jax",),
    ),
    *_of(
        "keras.optimizers:Optimizer",
        ("attribute", "_learning_rate", "a rate that cannot be set is known too late"),
        ("attribute", "_trainable_variables", "backups have averages for trained weights"),
        ("attribute", "_model_variables_moving_average", "backups have averages only"),
        ("attribute", "_iterations", "gradients are not measured in every N-th batch"),
        ("attribute", "_accumulated_gradients", "accumulated gradients are not measured"),
        ("attribute", "_trainable_variables_indices", "accumulated gradients are not measured"),
        ("method", "_var_key", "the gradients of layers are not measured"),
        ("method", "_clip_gradients", "gradients are not measured after clipping"),
    ),
    *_of("keras.src.callbacks", ("name", "CallbackList", "fitwatch.enable() fails")),
    *_of(
        "keras._tf_keras.keras.callbacks",
        ("name", "EarlyStopping", "tf.keras.callbacks has Keras's own"),
    ),
    *(
        entry
        for backend in ("jax", "tensorflow", "torch")
        for entry in _of(
            f"keras.src.backend.{backend}.trainer",
            ("name", "callbacks_module", "fitwatch.enable() fails"),
            backends=(backend,),
        )
    ),
    *_of(
        "keras.src.utils.traceback_utils",
        ("name", "_EXCLUDED_PATHS filter_traceback", "tracebacks show fitwatch's frames"),
    ),
]

_DATA = [
    *_of(
        "keras.src.trainers.epoch_iterator:EpochIterator",
        ("attribute", "data_adapter num_batches steps_per_epoch", "runs do not resume exactly"),
        ("overridden", "_enumerate_iterator", "runs do not resume exactly"),
        ("attribute", "_steps_seen", "the last batch counts as many samples as the others"),
    ),
    *_of(
        "keras.src.backend.tensorflow.trainer:TFEpochIterator",
        ("attribute", "_distributed_dataset _distribute_strategy", "runs do not resume exactly"),
        backends=("tensorflow",),
    ),
    *_of(
        "keras.src.trainers.data_adapters.array_data_adapter:ArrayDataAdapter",
        ("attribute", "_inputs _num_samples _shuffle", "arrays do not resume exactly"),
        ("attribute", "batch_size num_batches", "arrays do not resume exactly"),
        ("attribute", "partial_batch_size", "the last batch counts as many samples as the others"),
    ),
    *_of(
        "keras.src.trainers.data_adapters.py_dataset_adapter:PyDatasetAdapter",
        ("attribute", "py_dataset shuffle batch_size num_batches", "no PyDataset resumes exactly"),
    ),
    *_of(
        "keras.src.trainers.data_adapters.tf_dataset_adapter:TFDatasetAdapter",
        ("attribute", "_dataset batch_size num_batches", "no tf.data resumes exactly"),
    ),
]

_SAVING = [
    *_of(
        "keras.src.saving.saving_lib",
        ("name", "_save_state", "nothing is saved"),
        keywords=("weights_store", "assets_store", "inner_path", "visited_saveables"),
    ),
    *_of(
        "keras.src.saving.saving_lib",
        ("name", "_serialize_model_as_json", "models are not saved in the background"),
        ("name", "_write_to_zip_recursively", "models are not saved in the background"),
        ("name", "_ASSETS_DIRNAME _VARS_FNAME_H5", "models are not saved in the background"),
        ("name", "_METADATA_FILENAME _CONFIG_FILENAME", "models are not saved in the background"),
        ("name", "H5IOStore DiskIOStore backend", "nothing is saved"),
    ),
    *_of(
        "keras.src.saving.saving_lib:H5IOStore",
        ("method", "make", "nothing is saved"),
        ("attribute", "h5_file", "backups have weights only"),
        ("setting", "archive mode", "nothing is saved in the background"),
    ),
    *_of(
        "keras.src.saving.saving_lib:DiskIOStore",
        ("attribute", "working_dir", "assets of layers are not saved in the background"),
    ),
    *_of(
        "keras.src.utils.file_utils",
        ("name", "File exists", "CSV files cannot be written to remote paths"),
    ),
    *_of(
        "keras.src.utils.io_utils",
        ("name", "print_msg", "callbacks print nothing"),
        keywords=("line_break",),
    ),
]

_BACKENDS = [
    *_of(
        "jax._src.array:ArrayImpl",
        ("attribute", "aval", "each value is looked up again, which takes longer than a hook"),
        ("method", "is_deleted is_ready", "every batch waits for the device"),
        ("method", "unsafe_buffer_pointer", "a value takes ten times as long to read"),
        backends=("jax",),
    ),
    *_of(
        "jax:Device",
        ("method", "memory_stats", "the memory of devices is not known"),
        backends=("jax",),
    ),
    *_of(
        "tensorflow:config.experimental",
        ("name", "get_memory_info", "the memory of devices is not known"),
        backends=("tensorflow",),
    ),
    *_of(
        "jax.core:Tracer",
        ("attribute", "_trace", "a train step with a loop inside has no per-batch losses"),
        backends=("jax",),
    ),
    *_of(
        "jax._src.distributed:global_state",
        ("attribute", "client", "processes decide each for itself"),
        backends=("jax",),
    ),
    *_of(
        "jax._src.distributed:_jax.DistributedRuntimeClient",
        ("method", "key_value_set key_value_delete", "processes decide each for itself"),
        ("method", "key_value_try_get", "processes decide each for itself"),
        ("method", "blocking_key_value_get", "processes decide each for itself"),
        backends=("jax",),
    ),
    *_of(
        "torch.distributed.distributed_c10d",
        ("name", "_get_default_store", "processes decide each for itself"),
        backends=("torch",),
    ),
    *_of(
        "torch.utils._pytree",
        ("name", "register_pytree_node", "keras.tree takes logs for a leaf"),
        backends=("torch",),
    ),
]

_SLOW = "WandbLogger hands over one row at a time, at 15 times the cost"
_WANDB = [
    *_of("wandb.sdk.wandb_run:Run", ("attribute", "_interface", _SLOW)),
    *_of(
        "wandb.sdk.interface.interface_sock:InterfaceSock",
        ("attribute", "_client _asyncer", _SLOW),
        ("method", "_assign", _SLOW),
    ),
    *_of("wandb.sdk.lib.service.service_client:ServiceClient", ("method", "publish", _SLOW)),
    *_of("wandb.sdk.lib.asyncio_manager:AsyncioManager", ("method", "run", _SLOW)),
    *_of("wandb.proto.wandb_server_pb2", ("name", "ServerRequest", _SLOW)),
]

MANIFEST = (*_CALLBACKS, *_TENSORBOARD, *_TRAINERS, *_DATA, *_SAVING, *_BACKENDS, *_WANDB)
