"""Every sentence that can make a reader doubt a result: severity, wording, remedy, by code."""

from __future__ import annotations

from typing import Literal

__all__ = ["CATALOG", "Severity"]

Severity = Literal["error", "warning", "note"]

CATALOG: dict[str, tuple[Severity, str, str]] = {
    "non_finite": (
        "error",
        "{count} of {total} values are not finite.",
        "Check the input and the model for overflow; half precision often is the cause.",
    ),
    "head_newly_initialized": (
        "error",
        "The weights {names} were not in the checkpoint and are random: this map explains noise.",
        "Load a checkpoint that was trained for this task.",
    ),
    "cross_example": (
        "error",
        "The model's output for one input depends on the other inputs of the batch, or "
        "on chance (relative change {change:.2g}).",
        "Explain one input at a time (budget=1), and look for normalization over the batch.",
    ),
    "evaluation_cap": (
        "error",
        "Stopped at {evaluations} evaluations with an error of {error:.2%} "
        "(tolerance {tolerance:.2%}).",
        "Raise max_evaluations, or accept a larger tolerance.",
    ),
    "sampling_error": (
        "warning",
        "After {samples} samples the standard error is {error:.2%} of the map "
        "(tolerance {tolerance:.2%}).",
        "Leave samples unset to draw until the tolerance is met, or give more.",
    ),
    "no_noise": (
        "warning",
        "The numbers of the input are all the same, so noise that is a share of their range is "
        "none: this is what a single gradient says.",
        "Use gradient, or integrated_gradients.",
    ),
    "unseen_category": (
        "warning",
        "The value {value} of the column {column} stands nowhere in the background.",
        "Check its spelling; else give a background that has such rows.",
    ),
    "own_background": (
        "note",
        "No background was given, so {rows} rows that are explained themselves stand in for it.",
        "Give rows like those that the model is used on: table_model(model, background=rows).",
    ),
    "spurious_cue": (
        "error",
        "The {region} decide for {label!r}: pasted, they turn {flips:.0%} of the pictures of other "
        "classes into it.",
        "Look at the training pictures of this class. Where these pixels are no part of the thing, "
        "cover or vary them, and train again.",
    ),
    "split_at_median": (
        "note",
        "Numbers with many values were split at their median: {split}.",
        "Give groups of your own: an array or a column with one for each row.",
    ),
    "small_group": (
        "warning",
        "Too few rows count (fewer than {least}) to judge {groups}.",
        "Give more rows of these groups, or put groups together.",
    ),
    "unstable_reasons": (
        "warning",
        "{count} of {total} codes are unstable: with other draws of the reference they would not "
        "be given in {share:.0%} or more of cases.",
        "Give a larger reference, and do not give an applicant an unstable code.",
    ),
    "terms_alike": (
        "warning",
        "Some terms are one and the same to the model: {names}.",
        "It may not know these words; that they do not differ then says nothing. Leave them out.",
    ),
    "forbidden_reason": (
        "error",
        "Codes of {count} of {total} applicants name what they must not: {codes}.",
        "Take these columns out of the model, or have them cleared: laws on credit forbid or limit "
        "them.",
    ),
    "one_baseline": (
        "note",
        "There is one baseline only ({name}): these are integrated gradients from it.",
        "Give a background: several baselines as a list, or a tensor with a leading axis.",
    ),
    "gap_over_tolerance": (
        "error",
        "The attributions miss the score difference that they should sum to by {gap:.2%} "
        "(tolerance {tolerance:.2%}).",
        "Leave steps or samples unset, so that as many are taken as are needed, or give more. In "
        "half precision, load the model with dtype='float32'.",
    ),
    "training_mode": (
        "warning",
        "The model was in training mode; it was run in evaluation mode and put back.",
        "Call model.eval() if that is how the model is used.",
    ),
    "poor_surrogate": (
        "warning",
        "The linear surrogate explains {r_squared:.0%} of how the target varies around this input "
        "(inputs left out of the fit): its coefficients do not describe the target.",
        "Use shapley, which does not need the target to be linear, or a smaller kernel_width.",
    ),
    "saturated": (
        "warning",
        "The model is certain here (probability {probability:.4f}), so small changes of the "
        "input hardly move the target.",
        "Explain a log-odds or a contrast of two classes (target=('a', 'b')).",
    ),
    "flat": (
        "warning",
        "The target does not change with the input: every attribution is zero.",
        "Check the target; there is nothing to explain here.",
    ),
    "input_equals_baseline": (
        "warning",
        "The input equals the baseline, so the path has no length and the map is zero.",
        "Choose another baseline.",
    ),
    "confident_baseline": (
        "warning",
        "The model is confident on the baseline itself (probability {probability:.2f} for "
        "{label}): attributions are relative to that.",
        "Compare with another baseline before reading signs.",
    ),
    "unmasked_copy": (
        "note",
        "In one unmasked pass each residue is visible to its own prediction, so the map partly "
        "shows residues copying themselves.",
        "target='likelihood:context' masks each residue in turn; it costs one pass per residue.",
    ),
    "token_dropout": (
        "note",
        "This model rescales all embeddings by the share of masked tokens, so masking one unit "
        "slightly moves the others.",
        "Compare with a residue as fill (fill='A') or with integrated gradients.",
    ),
    "deletion_shifts": (
        "note",
        "Deleting a unit moves every later one to another position.",
        "Compare with fill='mask'.",
    ),
    "reduced_precision": (
        "note",
        "The model computes in {dtype}; sums were accumulated in float32.",
        "Load the model with dtype='float32' for finer maps.",
    ),
    "out_of_memory": (
        "note",
        "Memory ran out at {rows} rows; the batch was halved to {halved} and the work redone.",
        "Give a smaller budget to avoid the detour.",
    ),
    "over_budget": (
        "warning",
        "A single row needs about {needed:,} bytes, more than the budget of {budget:,}; rows were "
        "run one at a time.",
        "Raise budget, or shorten the input.",
    ),
    "demonstration_model": (
        "note",
        "{model} is a small demonstration model; its maps say how the tool works, not how biology "
        "or language does.",
        "Load a full-size checkpoint by name for real questions.",
    ),
    "groups_not_summed": (
        "note",
        "A {kind} has the {reduce} of its units, so values do not add up to a change of the score.",
        "Group with reduce='sum' for shares of the score.",
    ),
    "groups_not_additive": (
        "note",
        "Values of {method} do not add up: the sum over a {kind} is not what the {kind} does as a "
        "whole.",
        "Let the method take each group as one (groups=), or use a method whose values add up.",
    ),
    "stderr_bound": (
        "note",
        "Standard errors of a {kind} are upper bounds, because errors of its units may go "
        "together.",
        "Let the method take each group as one (groups=) for standard errors of its own.",
    ),
    "unknown_units": (
        "note",
        "{count} unit(s) are unknown to the model ({names}) and were read as unknown.",
        "Check the input for other alphabets.",
    ),
    "slope_in_few_places": (
        "warning",
        "The target's slope lies in about {share:.0%} of the places of layer '{layer}'. This "
        "method weights a feature by its slope at all places together, and shows it wherever it "
        "is active.",
        "Use layer_cam, which keeps each slope where it is, or occlusion.",
    ),
    "gradient_is_local": (
        "note",
        "A gradient is the slope at this very input; it says nothing of larger changes and has no "
        "scale of its own.",
        "Use integrated_gradients for contributions that add up to the score.",
    ),
    "same_for_every_target": (
        "warning",
        "The map does not depend on {what}: attention says where the model read from, not what it "
        "made of it.",
        "Use relevance, or a gradient or masking method, for a map of the target.",
    ),
    "no_slope": (
        "warning",
        "The target has no slope at layer {layer}: it does not depend on the positions there.",
        "Name an earlier layer with layer=, or leave it unset to have one found.",
    ),
    "nothing_positive": (
        "warning",
        "The layer holds no evidence for the target, only against it, which is cut off: the map "
        "is zero.",
        "Give absolute=False to keep the sign.",
    ),
    "negative_activations": (
        "warning",
        "Activations of layer {layer} are negative where the weights are derived for activations "
        "that are not, so that a weight has the wrong sign or is very large.",
        "Name a layer behind a ReLU with layer=, or use grad_cam or layer_cam.",
    ),
    "coarse_grid": (
        "note",
        "The map was made at layer {layer} on a grid of {grid}: one cell stands for {cell} units "
        "of the input, and finer detail is interpolation.",
        "Name an earlier layer with layer=, or see the cells themselves with upsample=False.",
    ),
    "tokens_left_out": (
        "note",
        "The first {count} token(s) of layer {layer} stand for no place in the input (class or "
        "register tokens) and were left out.",
        "Look at attention to see what such tokens read.",
    ),
    "constant_picture": (
        "warning",
        "Every pixel of the picture is the same, so there is nothing in it to look at.",
        "Check the file; a scan or an export may have failed.",
    ),
    "first_frame": (
        "note",
        "The file holds several frames or pages; the first was read.",
        "Save the one that matters as a picture of its own.",
    ),
    "transparent_parts": (
        "note",
        "The picture has transparent parts, which were put on white.",
        "Put it on the background that the model was trained with.",
    ),
    "sixteen_bits": (
        "note",
        "The picture has 16 bits per channel: 65,535 was read as white (the brightest here is "
        "{largest:,}).",
        "If its own white is lower (12 bits: 4,095), give floats that were divided by it.",
    ),
    "converted_colors": (
        "note",
        "The picture is stored as {mode} and was converted to RGB without a color profile.",
        "Convert it with its profile first, if colors matter.",
    ),
    "unlikely_blank": (
        "warning",
        "The declared blank (output {blank}) is the most probable symbol at no frame, while "
        "{symbol!r} (output {output}) is at {share:.0%}: blank= may be wrong.",
        "Give the number of the output that stands for nothing; often 0, or -1 for the last.",
    ),
    "global_frames": (
        "warning",
        "A frame of this recognizer sees the whole line: {share:.0%} of its slope lies more than "
        "{distance} pixels away (recurrent layers or attention), so a map of a character may show "
        "its neighbors.",
        "Compare with occlusion by columns, and do not read places far from the character as ink "
        "of its own.",
    ),
    "language_memory": (
        "warning",
        "The decoder writes much of this text from memory: its steps have a probability of "
        "{line:.2f} with the line, {shuffled:.2f} with its pieces shuffled and {blank:.2f} with "
        "blank paper.",
        "Read its maps as those of what the line adds, and compare with a CTC head.",
    ),
    "wide_occlusion": (
        "note",
        "Windows cover {share:.0%} of the units, so neighbors share one value.",
        "Use a smaller window.",
    ),
}
