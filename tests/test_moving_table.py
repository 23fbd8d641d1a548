"""Every row of the table in docs/moving.md has tests, and these tests exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "moving.md"

# The start of each row, and the tests that pin it.
PINNED = {
    "the first value of a monitored metric is NaN": "moving.a_nan_that_comes_first "
    "moving.an_infinity_that_comes_first monitor.what_is_no_improvement_never_becomes_the_best",
    "the monitored metric is missing": "moving.a_metric_that_is_missing "
    "model_checkpoint_due.stock_keras_saves_over_the_best_model "
    "model_checkpoint_due.a_metric_that_comes_no_more "
    "model_checkpoint.a_missing_metric_overwrites_nothing",
    "`ModelCheckpoint(save_freq=100, save_best_only=True)`": "moving_files.the_best_of_batches",
    "the same with a metric of the validation": "moving_files.the_best_of_validations "
    "model_checkpoint_due.the_file_is_the_best_model_of_all_validations",
    "`filepath` has a field": "moving_files.a_field_that_no_metric_has",
    "`filepath` has a `val_` field": "model_checkpoint_due.stock_keras_dies_of_that "
    "model_checkpoint_due.a_field_of_a_validation_that_has_not_run_puts_the_save_off",
    "the folder of a checkpoint": "moving_files.a_folder_of_checkpoints_that_cannot_be_made",
    "`TensorBoard(update_freq=100)`": "tensorboard.an_integer_update_freq_loses_no_epoch",
    "an event file or a CSV file cannot be written": "moving_files.a_csv_file_on_a_full_disk "
    "moving_tensorboard.an_event_file_on_a_full_disk "
    "csv_faults.a_full_disk_is_reported_once_leaves_no_torn_row_and_loses_nothing",
    "`CSVLogger` without validation": "moving_files.a_file_without_validation "
    "moving_files.a_subclass_without_empty_columns",
    "`CSVLogger`: a metric that first appears": "moving_files.a_metric_that_turns_up_late",
    "`CSVLogger(append=True)` after": "moving_files.a_last_line_that_was_cut_short",
    "`CSVLogger(append=True)` to": "moving_files.a_file_with_other_columns",
    "`CSVLogger` in a locale": "moving_files.a_locale_that_is_not_utf8 "
    "moving_files.a_missing_folder_and_a_remote_file",
    "after the first NaN": "moving_files.checkpoint_and_backup_after_the_first_nan",
    "a `schedule` of LearningRateScheduler": "moving.a_schedule_that_returns_what_is_no_rate "
    "learning_rates.what_is_no_rate",
    "a `schedule` returns": "moving.a_schedule_that_returns_a_number_of_another_type",
    "an optimizer with a `LearningRateSchedule`": "moving.a_rate_that_follows_a_schedule",
    "the progress bar in a pipe": "moving.the_progress_bar_in_a_pipe "
    "progbar_logger.a_pipe_gets_a_line_every_ten_seconds",
    "the same instance twice": "moving.the_same_instance_twice "
    "ownership.twice_in_a_list ownership.in_two_fits_at_the_same_time",
    "an item of `callbacks`": "moving.a_class_in_the_place_of_an_instance "
    "patched_classes.an_item_that_is_no_callback_is_named",
    "warnings are errors": "moving.warnings_as_errors",
    "`TensorBoard` on JAX or torch": "moving_tensorboard.keras_s_needs_tensorflow "
    "tensorboard_files.tensorflow_is_not_imported",
    "your own default writer": "moving_tensorboard.a_default_writer_of_the_user_s",
    "`isinstance(callback, ": "moving.a_callback_from_before_enable",
    "a class of `keras.callbacks` with a method": "patched_classes."
    "a_class_of_keras_that_other_code_has_changed_keeps_its_name",
    "`keras.callbacks.LossHistory`": "moving.the_name_that_keras_does_not_have",
    "a batch hook on JAX or torch": "moving_runs.a_bare_callback_runs_on_the_thread_of_fit "
    "moving_runs.the_model_in_a_bare_callback callback_list_life.a_bare_callback_may_use_its_model",
    "several processes": "distributed/test_decisions_together."
    "all_callbacks_decide_the_same_and_one_process_writes",
    "Ctrl-C, or an exception": "moving_runs.an_exception_in_a_hook_on_jax "
    "interrupt.evaluate_and_predict",
    "a run that `BackupAndRestore` resumes": "moving_runs.the_history_of_a_run_that_goes_on "
    "backup_and_restore.the_history_is_that_of_this_fit_unless_it_is_exact",
    "a run that EarlyStopping has ended": "moving_runs."
    "a_run_that_early_stopping_has_ended_started_again "
    "resumed_stops.more_patience_goes_on_as_if_it_had_been_there_from_the_beginning",
    "`BackupAndRestore` beside": "moving_runs.a_backup_where_averages_are_in_the_model "
    "resumed_averages.averages_are_no_trained_weights_in_any_order",
    "TensorBoard's Graphs page": "moving_tensorboard.the_graph_of_a_model tensorboard_pages.graphs",
    "TensorBoard's Projector page": "moving_tensorboard.embeddings_and_their_labels "
    "tensorboard_snapshots.the_projector_shows_the_embeddings",
    "`TensorBoard(embeddings_metadata": "moving_tensorboard.embeddings_and_their_labels",
    "two `TensorBoard` callbacks": "moving_tensorboard.two_that_write_batches "
    "tensorboard.two_of_them_in_one_fit",
    "`evaluate(callbacks=[same instance])`": "moving."
    "an_evaluation_with_the_same_instance_inside_a_fit",
}


def rows():
    """The first cell of each row."""
    _, table = PAGE.read_text().split("| when | Keras | fitwatch |\n|---|---|---|\n")
    return re.findall(r"^\| (.*?) \| .* \| .* \|$", table.split("\n\n")[0], re.MULTILINE)


def test_every_row_is_pinned():
    # The longest start counts, if several match.
    keys = [max(filter(row.startswith, PINNED), key=len, default=row) for row in rows()]
    assert keys == list(PINNED)


@pytest.mark.parametrize("row", PINNED)
def test_by_tests_that_exist(row):
    for where in PINNED[row].split():
        file, _, name = where.rpartition(".")
        path = TESTS / (f"{file}.py" if "/" in file else f"test_{file}.py")
        assert re.search(rf"^def test_{name}\(", path.read_text(), re.MULTILINE), where
