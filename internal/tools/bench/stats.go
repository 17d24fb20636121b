package main

import (
	"math"
	"slices"
)

// median returns the middle of the values; NaN without any.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile returns a quantile, interpolated between neighbours.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

// interval returns the mean and the bounds of its 95 % interval, by Student's t.
func interval(values []float64) (low, mean, high float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	var squares float64
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	half := student(len(values)-1) * math.Sqrt(squares/(n-1)/n)
	return mean - half, mean, mean + half
}

// student returns the two-sided 95 % quantile of Student's t.
func student(freedom int) float64 {
	table := []float64{math.NaN(), 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09}
	if freedom < len(table) {
		return table[max(freedom, 0)]
	}
	return 1.96 + 2.5/float64(freedom)
}
